"""What the demo counts, and that its exit code can fail."""

from typing import Any

import numpy as np
import pytest
from demo_stories import incident, others, replay, summary

from contracts.alarm import AlarmKind
from contracts.audit import Verification
from contracts.incident import Outcome
from contracts.review import Resolution
from demo.baselines import Baselines
from demo.summary import claims


def test_all_claims_hold_on_a_good_run() -> None:
    assert [claim.name for claim in claims(summary()) if not claim.holds] == []


@pytest.mark.parametrize(
    ("change", "name"),
    [
        ({"failed": 1}, "no request failed"),
        ({"left": 2}, "nothing temporary is left"),
        ({"verification": Verification(records=3, verified=False)}, "the audit chain holds"),
        ({"incidents": [incident(2, outcome=Outcome.HELD, review=Resolution.REJECTED)]}, "promoted by itself at least once"),
        ({"incidents": [incident(1)]}, "a review was decided"),
        ({"incidents": [incident(1), incident(2, outcome=Outcome.EXPIRED, review=Resolution.EXPIRED)]}, "a review was decided"),
    ],
)
def test_each_claim_fails_by_itself(change: dict[str, Any], name: str) -> None:
    assert [claim.name for claim in claims(summary(**change)) if not claim.holds] == [name]


def test_a_model_that_was_never_retrained_and_is_better_breaks_both_quality_claims() -> None:
    busy = replay().hours.busy
    perfect = Baselines(never=busy * 0.98 + 0.01, weekly=others(replay()).weekly)
    broken = [claim.name for claim in claims(summary(baselines=perfect)) if not claim.holds]
    assert broken == ["more accurate than never retrained", "lower log loss than never retrained"]


def test_the_onboarding_is_named_but_not_counted() -> None:
    found = summary(incidents=[incident(0, kind=AlarmKind.ONBOARDING), incident(1)])
    assert found.incidents == 1
    assert found.promotions.auto == 1
    assert found.onboarding_not_counted is not None
    assert found.onboarding_not_counted.incident == "incident-0"


def test_an_approved_promotion_is_not_automatic() -> None:
    found = summary(incidents=[incident(1, review=Resolution.APPROVED)])
    assert (found.promotions.auto, found.promotions.approved) == (0, 1)


def test_the_summary_has_the_promised_keys() -> None:
    promised = "endpoint weeks alarms incidents promotions held expired rollbacks failed_requests metrics audit"
    found = summary().model_dump(mode="json")
    assert set(promised.split()) | {"temporary_resources_left", "wall_seconds"} <= set(found)
    assert set(found["metrics"]) == {"never", "weekly", "homeostat"}
    assert all(set(m) == {"accuracy", "recall", "auc", "brier", "log_loss"} for m in found["metrics"].values())


def test_rows_without_an_answer_are_left_out_of_the_metrics() -> None:
    played = replay()
    played.served.score[:5] = np.nan
    assert summary(replay=played).metrics["homeostat"].log_loss < 0.2
