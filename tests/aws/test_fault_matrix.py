"""A part of the fault matrix on every run, and docs/aws-faults.md held to it; `fault_matrix.py` plays all of it."""

from dataclasses import replace
from pathlib import Path
from secrets import token_hex

import pytest

from platforms.aws.call_table import CALLS, Retry
from platforms.aws.calls import Aws
from tests.aws.fault_matrix import PAGE, STORIES, cells, render, written
from tests.aws.faulting import Stage, Story, play
from tests.aws.faults import KINDS
from tests.aws.simulator import Simulator

OFTEN = ("throttle", "timeout_after")
"""The commonest, and the one that makes doubles."""
PART = [
    pytest.param(story, kind, id=f"{story.step}: {kind}", marks=[pytest.mark.processes] if story.processes else [])
    for story in STORIES
    for kind in (OFTEN[1:] if story.processes else OFTEN)
    if not story.seldom
]


@pytest.mark.parametrize(("story", "kind"), PART)
def test_a_step_that_is_struck_ends_as_the_page_says(
    story: Story, kind: str, aws: Aws, simulator: Simulator, tmp_path: Path
) -> None:
    assert play(story, kind, Stage(aws, simulator, tmp_path)) == written()[story.step, kind]


def test_the_page_has_every_cell_and_each_promise_was_kept() -> None:
    assert PAGE.read_text() == render(lambda story, kind: written()[story.step, kind]), "run: python -m tests.aws.fault_matrix"
    assert set(written()) >= {(story.step, kind) for story, kind in cells()}
    assert not [cell for cell, said in written().items() if "BROKEN" in said or "NOT PLAYED" in said]


def test_every_call_that_changes_something_has_its_story() -> None:
    changing = {call for call, row in CALLS.items() if row.retry is not Retry.READ}
    missing = changing - {(story.service, story.operation) for story in STORIES}
    assert not missing, (
        f"tell a story in tests/aws/fault_stories_*.py of {missing}, and play it: python -m tests.aws.fault_matrix WORD"
    )


def test_each_story_is_told_once_and_each_fault_is_known() -> None:
    steps = [story.step for story in STORIES]
    assert len(steps) == len(set(steps))
    assert {kind for _, kind in cells()} <= set(KINDS)


def test_a_step_that_does_it_twice_breaks_its_promise(aws: Aws, simulator: Simulator, tmp_path: Path) -> None:
    """The matrix finds what it is there to find."""

    def careless(stage: Stage) -> object:
        return lambda: stage.objects.put(f"evidence/bikes/once/{token_hex(4)}", b"<p>")

    evidence = next(story for story in STORIES if story.step == "keep evidence")
    with pytest.raises(AssertionError):
        play(replace(evidence, begin=careless), "timeout_after", Stage(aws, simulator, tmp_path))
    with pytest.raises(AssertionError, match="never struck PutObject"):
        play(replace(evidence, skip=7), "throttle", Stage(aws, simulator, tmp_path))
