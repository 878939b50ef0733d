"""A notice reaches people once per key, with all they need, and can't harm whoever reads it."""

import sys
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.notices import NoticeKind
from contracts.review import Default, Notice
from platforms.errors import Exhausted, Invalid
from platforms.local.notifier import LocalNotifier
from platforms.notice_text import as_console, as_markdown, escaped, links, visible
from platforms.notices import SentNotice
from platforms.ports import Notifier
from tests.platforms.records_fixtures import BASE_URL, INCIDENT, UI_URL, Records, notice, run_python, start_python

SEND = """
import sys
from pathlib import Path
from platforms.local.notifier import LocalNotifier
from tests.platforms.records_fixtures import notice
notifier = LocalNotifier(Path(sys.argv[1]), "http://127.0.0.1:8233")
sys.stdin.readline()
print(sum(notifier.send(notice(f"key/{n}")) for n in range(20)))
"""
FULL = """
import resource, sys
from pathlib import Path
from platforms.errors import Exhausted
from platforms.local.notifier import LocalNotifier
from tests.platforms.records_fixtures import notice
resource.setrlimit(resource.RLIMIT_FSIZE, (20, 20))
try:
    LocalNotifier(Path(sys.argv[1]), "").send(notice())
except Exhausted as error:
    print(error)
"""


@pytest.fixture
def opened(records: Callable[[], Records]) -> Callable[[], Notifier]:
    """Opens the notifier as another process would."""
    return lambda: records().notifier


def outbox(home: Path, suffix: str) -> list[Path]:
    return sorted((home / "outbox").glob(f"*.{suffix}"))


def page_of(given_notice: Notice) -> str:
    return as_markdown(given_notice, links(given_notice, UI_URL, "default"))


def console_of(given_notice: Notice) -> str:
    return as_console(given_notice, links(given_notice, UI_URL, "default"))


def test_a_notice_is_sent_once_per_key_however_often_it_is_tried(opened: Callable[[], Notifier]) -> None:
    assert [opened().send(notice("a")), opened().send(notice("a")), opened().send(notice("b"))] == [True, False, True]


def test_of_many_threads_one_sends(opened: Callable[[], Notifier]) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda _: opened().send(notice()), range(16))).count(True) == 1


@pytest.mark.processes
def test_two_processes_that_send_at_once_send_each_notice_once(tmp_path: Path) -> None:
    senders = [start_python(SEND, str(tmp_path)) for _ in range(2)]
    for sender in senders:
        sender.stdin.write("go\n")
        sender.stdin.flush()
    assert sum(int(sender.communicate(timeout=120)[0]) for sender in senders) == 20
    assert (len(outbox(tmp_path, "md")), len(outbox(tmp_path, "json"))) == (20, 20)


def test_the_outbox_holds_a_page_for_people_and_the_notice_as_it_was(tmp_path: Path) -> None:
    LocalNotifier(tmp_path, UI_URL).send(notice())
    (page,), (mark,) = outbox(tmp_path, "md"), outbox(tmp_path, "json")
    assert page.stem == mark.stem
    assert page.read_text() == page_of(notice())
    sent = SentNotice.model_validate_json(mark.read_bytes())
    assert (sent.notice, sent.console) == (notice(), True)


def test_the_console_is_told_as_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    LocalNotifier(tmp_path, UI_URL).send(notice())
    LocalNotifier(tmp_path, UI_URL).send(notice())
    assert capsys.readouterr().err == console_of(notice()) + "\n"


@pytest.mark.parametrize("render", [page_of, console_of])
def test_people_read_verdict_links_commands_deadline_and_its_default(render: Callable[[Notice], str]) -> None:
    said = render(notice())
    for part in (
        "a challenger waits for your decision",
        "The challenger is worse: log loss 0.31 against 0.29.",
        f"{BASE_URL}/evidence/bikes/{INCIDENT}/report.html",
        f"{UI_URL}/namespaces/default/workflows/endpoint%2Fbikes%2Fincident%2F{INCIDENT}",
        f'python starter.py approve bikes/{INCIDENT} --note "why"',
        "To approve:",
        "Answer by 2012-03-04 12:00:00 UTC. If nobody answers by then, the champion stays.",
    ):
        assert part in said


def test_the_other_default_is_told_too() -> None:
    assert "If nobody answers by then, the challenger is promoted." in page_of(notice(default=Default.PROMOTE))


def test_the_deadline_is_told_in_utc() -> None:
    deadline = datetime(2012, 3, 5, 1, 30, tzinfo=timezone(timedelta(hours=2)))
    assert "Answer by 2012-03-04 23:30:00 UTC." in page_of(notice(deadline=deadline))


def test_a_notice_without_deadline_link_or_command_is_still_whole() -> None:
    bare = notice(kind=NoticeKind.PAGE, evidence=None, diagnostics="", workflow_id="", commands={}, deadline=None, default=None)
    assert "Answer by" not in page_of(bare) + console_of(bare)
    assert console_of(bare).count("\n") == 1
    assert page_of(bare).startswith("# bikes: a challenger waits for your decision\n\n**page**: The challenger")


def test_a_closed_console_does_not_keep_the_notice_from_the_outbox(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed:
        def write(self, text: str) -> int:
            raise BrokenPipeError

    with monkeypatch.context() as patch:
        patch.setattr(sys, "stderr", Closed())
        assert LocalNotifier(tmp_path, UI_URL).send(notice())
    assert SentNotice.model_validate_json(outbox(tmp_path, "json")[0].read_bytes()).console is False


def test_a_crash_before_the_mark_sends_again_and_leaves_one_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("platforms.local.notifier.create_exclusive", crash)
        with pytest.raises(KeyboardInterrupt):
            LocalNotifier(tmp_path, UI_URL).send(notice())
    assert LocalNotifier(tmp_path, UI_URL).send(notice())
    (page,), (mark,) = outbox(tmp_path, "md"), outbox(tmp_path, "json")
    assert page.stem == mark.stem


def test_a_full_disk_is_exhausted_and_the_notice_is_not_marked_as_sent(tmp_path: Path) -> None:
    assert "File too large. Free some space" in run_python(FULL, str(tmp_path))
    assert outbox(tmp_path, "md") + outbox(tmp_path, "json") == []
    assert LocalNotifier(tmp_path, UI_URL).send(notice())


def test_a_console_that_is_told_though_the_mark_did_not_fit_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> bool:
        raise Exhausted("outbox: No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("platforms.local.notifier.create_exclusive", full)
        with pytest.raises(Exhausted):
            LocalNotifier(tmp_path, UI_URL).send(notice())
    assert LocalNotifier(tmp_path, UI_URL).send(notice())
    assert len(outbox(tmp_path, "md")) == 1


@given(st.text(st.characters() | st.characters(categories=["Cc", "Cf", "Zl", "Zp"])))
def test_no_text_can_steer_a_terminal(text: str) -> None:
    hostile = notice(title=text, sentence=text, workflow_id=text, diagnostics=text, commands={text: text})
    forbidden = {"Cc", "Cf", "Cs", "Zl", "Zp"}
    for said in (console_of(hostile), page_of(hostile)):
        assert not [character for character in said if unicodedata.category(character) in forbidden and character != "\n"]
    assert len(console_of(hostile).split("\n")) <= 6


def test_text_that_is_not_unicode_is_refused_before_anything_is_sent(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for broken in (notice(title="\ud800"), notice("\ud800"), notice(commands={"approve": "\ud800"})):
        with pytest.raises(Invalid, match="Notice can't be written as JSON"):
            LocalNotifier(tmp_path, UI_URL).send(broken)
    assert (capsys.readouterr().err, outbox(tmp_path, "md")) == ("", [])


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"),
        ("safe\u202etxt.exe", "safe\\u202etxt.exe"),
        ("zero\u200bwidth", "zero\\u200bwidth"),
        ("line\nbreak\rback", "line\\nbreak\\rback"),
        ("\ud800", "\\ud800"),
        ("Fähre 🚲 ok", "Fähre 🚲 ok"),
    ],
)
def test_control_characters_are_shown_not_obeyed(text: str, shown: str) -> None:
    assert visible(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("<script>alert(1)</script>", r"\<script\>alert(1)\</script\>"),
        ("[click](javascript:alert(1))", r"\[click\](javascript:alert(1))"),
        ("![x](http://evil/x.png)", r"\!\[x\](http:\//evil/x.png)"),
        ("see http://evil.example www.evil.example", r"see http:\//evil.example www\.evil.example"),
        ("*bold* _it_ `code` # h | t ~~s~~ &lt;", r"\*bold\* \_it\_ \`code\` \# h \| t \~\~s\~\~ \&lt;"),
        ("a\n\n# heading\n- item", r"a \# heading - item"),
        ("back\\slash", r"back\\slash"),
    ],
)
def test_markup_from_outside_is_shown_as_text(text: str, shown: str) -> None:
    assert escaped(text) == shown


def test_a_command_cannot_leave_its_block_or_bring_a_second_one() -> None:
    said = page_of(notice(commands={"approve": "a ``` b\nrm -rf /"}))
    assert said.endswith("To approve:\n\n````sh\na ``` b\\nrm -rf /\n````\n")


@pytest.mark.parametrize(
    ("link", "shown"),
    [
        ("javascript:alert(1)", "javascript:alert(1)"),
        ("file:///etc/passwd", r"file:\///etc/passwd"),
        ("http://", r"http:\//"),
        ("http://[bad", r"http:\//\[bad"),
        ("http://h/a b>\n<x", "<http://h/a%20b%3E%0A%3Cx>"),
    ],
)
def test_only_a_web_address_becomes_a_link(link: str, shown: str) -> None:
    assert f"- Diagnostics: {shown}\n" in page_of(notice(diagnostics=link))


def test_the_workflows_link_keeps_hostile_ids_in_one_segment() -> None:
    assert "/workflows/..%2F..%2Fx%3Fy%23z\n" in console_of(notice(workflow_id="../../x?y#z"))


def test_a_notice_made_now_sorts_behind_one_made_before(tmp_path: Path) -> None:
    notifier = LocalNotifier(tmp_path, UI_URL)
    for n in range(3):
        notifier.send(notice(f"key/{n}"))
    keys = [SentNotice.model_validate_json(path.read_bytes()).notice.key for path in outbox(tmp_path, "json")]
    assert keys == ["key/0", "key/1", "key/2"]
    assert datetime.strptime(outbox(tmp_path, "json")[0].stem.split("-")[0], "%Y%m%dT%H%M%S.%fZ").replace(
        tzinfo=UTC
    ) <= datetime.now(UTC)
