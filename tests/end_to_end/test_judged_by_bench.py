"""An endpoint whose fleet file asks for the shadow bench, with real processes: it finds the improvement by itself."""

import json
from collections.abc import Iterator

import pytest

from contracts.incident import Outcome
from platforms.local.feature_store import LocalFeatureStore
from tests.end_to_end.whole_system import ONBOARDED_DAY, System, day, endpoint_policy, hourly_rows, started

pytestmark = pytest.mark.processes
ROWS = hourly_rows()


@pytest.fixture
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[System]:
    """Beside `judging: shadow` the file says little: the bench's own members and blends are used."""
    policy = endpoint_policy() | {
        "training": {"judging": "shadow", "recipe": {"learner": {"rounds": 10}}, "bench": {"warm_up": 2}},
        "intake": {"promotions_start": 1},
        "gate": {"resamples": 200},
    }
    with started(tmp_path_factory.mktemp("bench"), {"judged": policy}, without=("monitor",), until=ONBOARDED_DAY) as running:
        running.alarm("judged", "first", day(ONBOARDED_DAY), kind="onboarding")
        first = running.closed("judged", 1).state.history[0]
        assert first.outcome is Outcome.PROMOTED, first.sentence
        LocalFeatureStore(running.home).append("rows", ROWS.slice(24 * ONBOARDED_DAY))
        yield running


def test_the_bench_raises_its_own_alarm_and_its_better_blend_is_promoted_and_reproduced(system: System) -> None:
    first = system.predict("judged", ROWS.slice(24 * ONBOARDED_DAY, 24))
    record = json.loads(system.command("python starter.py bench judged --now --json"))
    turns = record["turns"]
    assert "Warming up" in turns[0]["sentence"]
    assert turns[-1]["verdict"] == "promote", turns[-1]
    incident = system.closed("judged", 2).state.history[1]
    assert incident.outcome is Outcome.PROMOTED, incident.sentence
    assert system.predict("judged", ROWS.slice(24 * 85, 24)) != first
    records = json.loads(system.command("python starter.py audit list --endpoint judged --json"))
    assert turns[-1]["blend"] in json.dumps(records)
    system.command(f"python starter.py reproduce judged/{incident.incident}")
