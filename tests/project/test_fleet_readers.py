"""The fleet file is read by the command line and by the monitor: they must see the same policies."""

from pathlib import Path

import pytest

from platforms.local.monitor import read_fleet
from runtime.fleet_file import load

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("path", [ROOT / "fleet.yaml", ROOT / "demo" / "fleet.yaml"], ids=str)
def test_both_readers_see_the_same_policies(path: Path) -> None:
    assert read_fleet(path) == load(path)


def test_an_endpoints_own_value_wins_over_the_defaults_in_both(tmp_path: Path) -> None:
    path = tmp_path / "fleet.yaml"
    path.write_text((ROOT / "fleet.yaml").read_text().replace("  bikes:\n", "  bikes:\n    team: rides\n", 1))
    assert read_fleet(path) == load(path)
    assert read_fleet(path).endpoints["bikes"].team == "rides"
