"""`python -m demo`: see `--help`.

Exit codes: 0 every claim of the demo holds; 1 one does not; 2 the command line is wrong; 130 interrupted;
else those of runtime/errors.py.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence

from pydantic import ValidationError
from rich.console import Console

from demo.aws_place import find_aws_place
from demo.aws_report import AwsSummary
from demo.aws_report import claims as aws_claims
from demo.aws_run import GOOD_WEEKS, WEEKS_BEFORE, AwsRun
from demo.data import load_hours
from demo.place import ENDPOINT, FLEET_FILE, claim, find_place
from demo.progress import Screen
from demo.report import write_report
from demo.run import Run
from demo.summary import Claim, Summary, claims
from platforms.errors import PlatformError
from platforms.files import write_atomic
from runtime.errors import StartError
from runtime.fleet_file import load
from runtime.leaving import leave
from runtime.settings import Settings
from runtime.wiring import platform_from

WEEKS = 114
WEEKS_HELP = f"weeks of traffic at least (default: {WEEKS}); on aws-sim weeks before the alarm ({WEEKS_BEFORE})"
MIN_WEEKS, MAX_WEEKS = 1, 400
INTERRUPTED = 130


def main(words: Sequence[str] | None = None) -> int:
    """Play, report, and say whether it came out as promised."""
    parser = _parser()
    given = parser.parse_args(words)
    on_aws = given.platform == "aws-sim"
    if on_aws and given.review == "me":
        parser.error("--review me is for the local platform: on the simulated account the scripted reviewer decides")
    if on_aws and given.weeks is not None and given.weeks <= GOOD_WEEKS:
        parser.error(f"--weeks: on the simulated account the alarm is set by the first {GOOD_WEEKS} weeks, so there must be more")
    given.weeks = given.weeks or (WEEKS_BEFORE if on_aws else WEEKS)
    screen = Screen(given.weeks, console=Console(highlight=False, stderr=given.json))
    try:
        summary, found = _play_on_aws(given, screen) if on_aws else _play(given, screen)
    except (StartError, PlatformError, ValidationError) as error:
        print(f"the demo can't go on: {error}", file=sys.stderr)
        return getattr(error, "exit_code", 1)
    except KeyboardInterrupt:
        print("interrupted; the processes have ended", file=sys.stderr)
        return INTERRUPTED
    if given.json:
        print(summary.model_dump_json())
    return _verdict(found, screen)


def _play(given: argparse.Namespace, screen: Screen) -> tuple[Summary, list[Claim]]:
    began = time.monotonic()
    place = find_place(Settings().home)
    run = Run(
        place=place,
        platform=platform_from(place.settings),
        policy=load(FLEET_FILE).endpoints[ENDPOINT],
        data=load_hours(),
        weeks=given.weeks,
        by_person=given.review == "me",
        screen=screen,
    )
    claim(place.home)
    summary = write_report(run, run.play(), began)
    return summary, claims(summary)


def _play_on_aws(given: argparse.Namespace, screen: Screen) -> tuple[AwsSummary, list[Claim]]:
    began = time.monotonic()
    place = find_aws_place(Settings().home)
    run = AwsRun(place, load_hours(), screen, given.weeks)
    claim(place.home)
    summary = run.play().model_copy(update={"wall_seconds": round(time.monotonic() - began, 1)})
    write_atomic(place.home / "summary.json", summary.model_dump_json(indent=2).encode() + b"\n")
    return summary, aws_claims(summary)


def _verdict(found: Sequence[Claim], screen: Screen) -> int:
    for each in found:
        screen.say(f"  {'holds ' if each.holds else 'FAILED'}  {each.name}: {each.found}", "green" if each.holds else "bold red")
    return 0 if all(each.holds for each in found) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m demo",
        description="Two years of bike rentals in minutes: real drift, real retraining, a judged challenger, a record.",
        epilog=__doc__.partition("\n\n")[2] if __doc__ else None,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--review", choices=["me", "script"], default="script", help="who decides the reviews (default: %(default)s)"
    )
    parser.add_argument("--weeks", type=_weeks, help=WEEKS_HELP)
    parser.add_argument("--platform", choices=["local", "aws-sim"], default="local", help="where it runs (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print the summary on stdout as one JSON object, all else on stderr")
    return parser


def _weeks(text: str) -> int:
    number = int(text)
    if not MIN_WEEKS <= number <= MAX_WEEKS:
        raise argparse.ArgumentTypeError(f"{number} is not between {MIN_WEEKS} and {MAX_WEEKS}")
    return number


if __name__ == "__main__":
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    leave(main())
