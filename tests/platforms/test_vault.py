"""Keys and tickets on disk: for their owner alone, written once, and whatever was altered is seen."""

from collections.abc import Callable
from pathlib import Path
from stat import S_IMODE

import pytest

from platforms.errors import Corrupt, Invalid, NotFound
from platforms.identity.folder import IdentityFolder
from platforms.identity.keys import make_key, public_key, read_key, too_open
from platforms.identity.tokens import MOST_BYTES
from platforms.local.vault import LocalVault
from platforms.ports import DecisionVault
from tests.platforms.records_fixtures import Records
from tests.platforms.signatures import a_key, a_request, claims_for, later, signed


def mode(path: Path) -> int:
    return S_IMODE(path.stat().st_mode)


@pytest.fixture
def vault(records: Callable[[], Records]) -> DecisionVault:
    return records().vault


def test_a_kept_token_is_read_back_by_its_ticket(vault: DecisionVault) -> None:
    token = signed(a_key(), claims_for(a_request()))
    ticket = vault.keep(token)
    assert vault.keep(token) == ticket
    assert vault.read(ticket) == token


def test_a_kept_token_is_for_its_owner_alone(tmp_path: Path) -> None:
    LocalVault(tmp_path).keep("a.b.c")
    (path,) = (tmp_path / "vault").iterdir()
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)


def test_an_altered_token_is_never_read_nor_kept_over(tmp_path: Path) -> None:
    vault = LocalVault(tmp_path)
    ticket = vault.keep("a.b.c")
    (path,) = (tmp_path / "vault").iterdir()
    path.write_text("a.b.d")
    with pytest.raises(Corrupt, match=ticket[:12]):
        vault.read(ticket)
    with pytest.raises(Corrupt):
        vault.keep("a.b.c")


@pytest.mark.parametrize("ticket", ["0" * 64, "", "../identity/page", "0" * 63, "\0"])
def test_what_is_no_ticket_names_nothing(vault: DecisionVault, ticket: str) -> None:
    with pytest.raises(NotFound):
        vault.read(ticket)


@pytest.mark.parametrize("token", ["", "x" * (MOST_BYTES + 1)])
def test_what_can_be_no_token_is_not_kept(vault: DecisionVault, token: str) -> None:
    with pytest.raises(Invalid):
        vault.keep(token)


def test_a_new_key_is_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "ana.key"
    key = make_key(path, "ana")
    assert mode(path) == 0o600
    assert too_open(path) == ""
    again = read_key(path)
    assert (again.person, again.public, again.id) == ("ana", key.public, key.id)
    assert public_key(key.public) is not None
    with pytest.raises(Invalid, match="never overwritten"):
        make_key(path, "ana")


@pytest.mark.parametrize("bits", [0o644, 0o640, 0o620, 0o601])
def test_a_private_key_that_others_may_read_is_refused_with_the_command_that_mends_it(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "ana.key"
    make_key(path, "ana")
    path.chmod(bits)
    assert too_open(path) == f"chmod 600 {path}"
    with pytest.raises(Invalid, match=f"chmod 600 {path}"):
        read_key(path)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"kty":"OKP","crv":"Ed25519","x":"AA","d":"c2VjcmV0"}', "[" * 4000])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "ana.key"
    path.write_text(content)
    path.chmod(0o600)
    with pytest.raises(Invalid, match="no Ed25519 key") as refused:
        read_key(path)
    assert "c2VjcmV0" not in str(refused.value)


def test_a_key_file_that_is_a_folder_or_a_device_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Invalid):
        read_key(Path("/dev/zero"))
    with pytest.raises(Invalid):
        read_key(tmp_path)


def test_the_loops_own_keys_are_made_once_for_their_owner_alone(tmp_path: Path) -> None:
    folder = IdentityFolder(tmp_path)
    assert folder.known_page() is None
    first = [folder.page().id, folder.links().id, folder.local("ana").id]
    assert [folder.page().id, folder.links().id, folder.local("ana").id] == first
    assert len(set(first)) == 3
    assert mode(folder.root) == 0o700
    assert [mode(path) for path in folder.key_files()] == [0o600] * 3


def test_what_was_used_once_is_remembered_until_it_could_be_of_no_use(tmp_path: Path) -> None:
    now = later(days=-1)
    folder = IdentityFolder(tmp_path)
    assert folder.use_once("one", now)
    assert not IdentityFolder(tmp_path).use_once("one", now)
    assert folder.use_once("two", now)
