"""The demo's folder is its own, and it clears nothing else."""

from pathlib import Path

import pytest

from demo.place import claim, clear, find_place
from runtime.errors import Misconfigured


def test_a_folder_that_no_demo_made_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(Misconfigured, match=r"not made by the demo"):
        claim(tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_a_second_run_starts_clean_but_keeps_the_records_of_running_processes(tmp_path: Path) -> None:
    home = tmp_path / "demo"
    claim(home)
    for folder in ("run", "capture"):
        (home / folder).mkdir()
        (home / folder / "file").write_text("x")
    (home / "summary.json").write_text("{}")
    claim(home)
    clear(home)
    assert sorted(path.name for path in home.iterdir()) == [".made-by-demo", "run"]
    assert (home / "run" / "file").exists()


def test_a_link_in_the_folder_is_removed_and_not_followed(tmp_path: Path) -> None:
    home, elsewhere = tmp_path / "demo", tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "file").write_text("x")
    claim(home)
    (home / "link").symlink_to(elsewhere)
    clear(home)
    assert not (home / "link").exists()
    assert (elsewhere / "file").exists()


def test_every_process_and_command_lives_in_the_demos_folder_on_its_own_ports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOMEOSTAT_BRIDGE_TOKEN", "of the real one")
    monkeypatch.setenv("TEMPORAL_ADDRESS", "temporal.example:7233")
    place = find_place(tmp_path)
    for environment in (place.environment, *(process.env for process in place.processes())):
        assert environment["HOMEOSTAT_HOME"] == str(tmp_path / "demo")
        assert environment["TEMPORAL_ADDRESS"] == place.temporal
        assert environment["HOMEOSTAT_BRIDGE_TOKEN"] is None
    ports = {place.temporal.rpartition(":")[2], str(place.settings.bridge_port), place.settings.ui_url.rpartition(":")[2]}
    assert len(ports) == 3
