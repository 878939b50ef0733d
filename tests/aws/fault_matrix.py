"""Every call that changes something on AWS, struck by every fault: `python -m tests.aws.fault_matrix` writes docs/aws-faults.md.

The whole matrix takes minutes; tests/aws/test_fault_matrix.py plays a part of it on each run, and holds the page to it. Words after
the command play only the steps that contain them; the other cells stay as they are.
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Final

from tests.aws.fault_stories import RECORDS
from tests.aws.fault_stories_cleanup import CLEANUP
from tests.aws.fault_stories_jobs import JOBS
from tests.aws.fault_stories_models import MODELS
from tests.aws.fault_stories_queue import QUEUE
from tests.aws.fault_stories_serving import SERVING
from tests.aws.faulting import Stage, Story, play
from tests.aws.faults import KINDS
from tests.aws.fixtures import SPEED, new_account
from tests.aws.simulator import Simulator

STORIES: Final[tuple[Story, ...]] = (*JOBS, *MODELS, *SERVING, *RECORDS, *CLEANUP, *QUEUE)
PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "aws-faults.md"
HEAD: Final = """\
# Faults on AWS

Every call that changes something on AWS, struck once by each fault; then the step is done again as Temporal does it, until it ends.
A cell says how it ended, and stands here only because what its row promises was then found to be true in the account: no duplicate
job, no orphan, no lost alarm, no silent rollback. Played against the simulated account and written by
`python -m tests.aws.fault_matrix`; a part is played again with every `make test`.

| fault | what happens to the call |
| --- | --- |
| `throttle` | refused: too many requests |
| `server_error` | refused: the service has failed |
| `timeout_before` | the connection ends before anything was done |
| `timeout_after` | it is done, and the answer never comes |
| `expired_credentials` | refused: the credentials have expired |
| `access_denied` | refused: the role has no right to it, until somebody gives it one |
| `resource_limit` | refused: the account's quota is used up |
| `capacity` | accepted, and there is no machine: the job fails |
| `spot_interruption` | accepted, and the machine is taken away in the middle |

| outcome | means |
| --- | --- |
| at once | the step went on in the same try |
| by itself | the process tried again by itself |
| 2nd try | the step failed, and its second try found what there was and ended well |
| rollback told | SageMaker went back to the former model by itself; it is seen, told with its reason, and not tried again under this key |
| next machine | the first job got no machine, the next one asked for the next type and ended well |
| from its checkpoint | the one job went on after its machine was taken away |
| - | no such fault for this call |
"""
COLUMNS: Final = tuple(kind for kind in KINDS)


def cells(*words: str) -> list[tuple[Story, str]]:
    """Of all steps, or of those that contain one of the words."""
    chosen = [story for story in STORIES if not words or any(word in story.step for word in words)]
    return [(story, kind) for story in chosen for kind in story.kinds]


def render(outcome: Callable[[Story, str], str]) -> str:
    head = "| call | step | promise | " + " | ".join(f"`{kind}`" for kind in COLUMNS) + " |"
    rows = "\n".join(_row(story, outcome) for story in STORIES)
    return f"{HEAD}\n{head}\n{'| --- ' * (3 + len(COLUMNS))}|\n{rows}\n"


def _row(story: Story, outcome: Callable[[Story, str], str]) -> str:
    found = [outcome(story, kind) if kind in story.kinds else "-" for kind in COLUMNS]
    return f"| `{story.service}` `{story.operation}` | {story.step} | {story.promise} | {' | '.join(found)} |"


@cache
def written() -> dict[tuple[str, str], str]:
    """What the page says, by step and fault."""
    found: dict[tuple[str, str], str] = {}
    for line in PAGE.read_text().splitlines():
        words = [word.strip() for word in line.strip("|").split(" | ")]
        if len(words) == 3 + len(COLUMNS) and words[0].startswith("`") and words[0] != "call":
            found |= {(words[1], kind): said for kind, said in zip(COLUMNS, words[3:], strict=True)}
    return found


def played(simulator: Simulator, wanted: Iterable[tuple[Story, str]], place: Path) -> dict[tuple[str, str], str]:
    """Outcome of each cell, or what was broken."""
    found = {}
    for number, (story, kind) in enumerate(wanted):
        folder = place / str(number)
        folder.mkdir()
        try:
            found[story.step, kind] = play(story, kind, Stage(new_account(), simulator, folder))
        except AssertionError as error:
            found[story.step, kind] = f"**BROKEN**: {' '.join(str(error).split())[:200]}"
        sys.stderr.write(f"{story.service} {story.operation}: {story.step}: {kind}: {found[story.step, kind]}\n")
    return found


def main(*words: str) -> int:
    """0 where every promise holds."""
    with tempfile.TemporaryDirectory() as place:
        simulator = Simulator.start(Path(place) / "simulator", SPEED)
        os.environ.update(simulator.environment)
        try:
            found = (written() if words else {}) | played(simulator, cells(*words), Path(place))
        finally:
            simulator.stop()
    PAGE.write_text(render(lambda story, kind: found.get((story.step, kind), "NOT PLAYED")))
    return int(any("BROKEN" in outcome for outcome in found.values()))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:]))
