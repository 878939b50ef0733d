"""The scripted reviewer's rule, and the command it types."""

import pytest
from demo_stories import judgement

from contracts.evaluation import Judgement, Verdict
from demo.reviewer import CommandFailed, opinion, starter


@pytest.mark.parametrize(
    ("judged", "approves"),
    [
        (judgement(Verdict.REGRESS, gain=0.4, broken=("recall",)), False),
        (judgement(Verdict.REGRESS, gain=-0.4), False),
        (judgement(Verdict.INCONCLUSIVE, gain=0.02), True),
        (judgement(Verdict.INCONCLUSIVE, gain=0.005), False),
        (judgement(Verdict.INCONCLUSIVE, gain=-0.02), False),
        (judgement(Verdict.INCONCLUSIVE, gain=0.3, broken=("recall",)), False),
        (judgement(Verdict.PROMOTE, gain=0.1), True),
    ],
)
def test_it_rejects_what_is_worse_and_approves_a_gain_that_breaks_no_guard(judged: Judgement, approves: bool) -> None:
    assert opinion(judged).approve is approves


def test_its_note_says_what_it_rests_on() -> None:
    note = opinion(judgement(Verdict.REGRESS, gain=-0.12, t=-3.1, broken=("recall",))).note
    assert "regress" in note
    assert "-12.0%" in note
    assert "recall" in note


async def test_a_refused_command_is_not_passed_over() -> None:
    with pytest.raises(CommandFailed, match=r"no-such-verb"):
        await starter({}, "no-such-verb")
