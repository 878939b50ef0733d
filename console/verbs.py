"""Every verb, declared: name, words, arguments, examples, and where it is done.

Nothing heavy is imported here, so that `--help` answers at once. docs/cli.md is held in step by a test.
"""

from typing import Final

from console.review_verbs import REVIEW_VERBS
from console.verb import Verb
from console.verb import arg as _arg

KINDS: Final = (
    "data_drift",
    "model_quality",
    "bias",
    "business_kpi",
    "infrastructure",
    "improvement",
    "calibration",
    "onboarding",
)
SEVERITIES: Final = ("low", "medium", "high", "critical")
EVENTS: Final = ("decided", "closed", "rolled_back", "refused", "swept", "configured", "untold")


_ENDPOINT = _arg("endpoint", metavar="ENDPOINT", help="name of the endpoint, as in the fleet file")
_DRY_RUN = _arg("--dry-run", action="store_true", help="say what would be done, change nothing")
_WHO = "a name for the record; $USER@host unless given. It is recorded as unverified"

VERBS: Final = (
    Verb(
        "apply",
        "make the running fleet follow the fleet file",
        "Starts a lifecycle for each endpoint of the file that has none and hands each one its policy where it differs. "
        "An endpoint that runs and is not in the file is reported and left alone. Each endpoint with `judging: shadow` gets a "
        "schedule for its shadow bench; others lose theirs. Doing it twice changes nothing more.",
        ("python starter.py apply fleet.yaml --dry-run", "python starter.py apply fleet.yaml"),
        "fleet:apply",
        (_arg("file", metavar="FILE", help="the fleet file"), _DRY_RUN),
    ),
    Verb(
        "status",
        "show the fleet, or one endpoint in full",
        "Without a name: a table of all endpoints. With a name: its open incident, judgement, review deadline, pending alarms, "
        "signals in quarantine and refused decisions with their reasons, last incidents, and what is in service.",
        ("python starter.py status", "python starter.py status bikes", "python starter.py status bikes --json"),
        "status:status",
        (_arg("endpoint", metavar="ENDPOINT", nargs="?", help="show this one in full"),),
    ),
    Verb(
        "alarm",
        "raise an alarm by hand",
        "Sends the alarm to the endpoint's lifecycle, which decides whether it opens an incident. It is kept even if no worker "
        "runs. The same --id twice counts once.",
        (
            "python starter.py alarm bikes --kind business_kpi --severity high --message 'refunds doubled'",
            "python starter.py alarm bikes --as-of 2012-03-04T00:00:00Z --metric accuracy=0.71:0.80",
        ),
        "alarm:alarm",
        (
            _ENDPOINT,
            _arg("--kind", choices=KINDS, default="model_quality", help="what it is about (default: %(default)s)"),
            _arg("--severity", choices=SEVERITIES, default="medium", help="how bad (default: %(default)s)"),
            _arg("--as-of", metavar="TIME", help="time of the data it speaks of, ISO 8601 with a zone (default: now)"),
            _arg("--message", metavar="TEXT", default="", help="a sentence for people"),
            _arg(
                "--metric",
                metavar="NAME=VALUE[:THRESHOLD]",
                action="append",
                default=[],
                help="a reading, with the threshold it crossed; may be given several times",
            ),
            _arg("--id", metavar="ID", help="its own id, for repeats (default: a new one)"),
        ),
    ),
    Verb(
        "bench",
        "show an endpoint's shadow bench, or take a turn at once",
        "Shows the record: losses per blend, the last turns with their verdicts, and whether an alarm was raised. With --now the "
        "schedule begins a run at once, which takes every turn that is due; one that goes already is waited for.",
        ("python starter.py bench bikes", "python starter.py bench bikes --now"),
        "bench:bench",
        (_ENDPOINT, _arg("--now", action="store_true", help="take the turns that are due before showing the record")),
        patience=600.0,
    ),
    Verb(
        "coverage",
        "show what a window of labelled rows would hold now",
        "Takes the look that an incident would begin with, and trains nothing: rows, labels, how late labels come, when enough "
        "are expected, and every finding with its remedy. Ends with 1 if the window would not suffice.",
        ("python starter.py coverage bikes", "python starter.py coverage bikes --as-of 2012-03-04T00:00:00Z --json"),
        "coverage:coverage",
        (
            _ENDPOINT,
            _arg("--as-of", metavar="TIME", help="as known at this time of the data (default: that of the newest label)"),
        ),
    ),
    *REVIEW_VERBS,
    Verb(
        "rollback",
        "put the former champion back into service",
        "An open incident is cancelled first. Waits until the former model really answers on every instance, and says so. "
        "If the wait ends first, the rollback goes on: look at `status` before you ask again.",
        ("python starter.py rollback bikes --reason 'complaints since the promotion'",),
        "endpoint:rollback",
        (
            _ENDPOINT,
            _arg("--reason", metavar="TEXT", required=True, help="why, for the record"),
            _arg("--by", metavar="NAME", help=f"who asks: {_WHO}"),
        ),
        patience=600.0,
    ),
    Verb(
        "pause",
        "stop opening incidents on an endpoint",
        "Alarms are kept and judged when the endpoint is resumed. An incident that is already open goes on.",
        ("python starter.py pause bikes --reason 'stock-taking until Monday'",),
        "endpoint:pause",
        (
            _ENDPOINT,
            _arg("--reason", metavar="TEXT", default="", help="why, for the record"),
            _arg("--by", metavar="NAME", help=f"who asks: {_WHO}"),
        ),
    ),
    Verb(
        "resume",
        "open incidents on an endpoint again",
        "The alarms that came meanwhile are judged now.",
        ("python starter.py resume bikes",),
        "endpoint:resume",
        (
            _ENDPOINT,
            _arg("--reason", metavar="TEXT", default="", help="why, for the record"),
            _arg("--by", metavar="NAME", help=f"who asks: {_WHO}"),
        ),
    ),
    Verb(
        "audit list",
        "list audit records, the newest last",
        "Reads the chain on the platform; Temporal is not needed.",
        ("python starter.py audit list --endpoint bikes --event decided --limit 10",),
        "audit:list_records",
        (
            _arg("--endpoint", metavar="ENDPOINT", help="only this endpoint"),
            _arg("--incident", metavar="ID", help="only this incident (its id, or NAME/ID)"),
            _arg("--event", choices=EVENTS, help="only this kind of record"),
            _arg("--limit", metavar="N", type=int, default=50, help="the last N; 0 for all (default: %(default)s)"),
        ),
        waits=False,
    ),
    Verb(
        "audit show",
        "show one audit record with all its facts",
        "The number is the one that `audit list` prints.",
        ("python starter.py audit show 12",),
        "audit:show",
        (_arg("seq", metavar="SEQ", type=int, help="number of the record"),),
        waits=False,
    ),
    Verb(
        "audit verify",
        "check that no audit record was edited, removed, moved or cut off",
        "Recomputes every link and compares the end of the chain with the anchor that is kept apart from it. Ends with 5 if it "
        "doesn't hold. With --file it checks an exported chain against the anchor that `audit export` printed, on any machine.",
        ("python starter.py audit verify", "python starter.py audit verify --file audit.jsonl --anchor 12:5feceb66...d1a7"),
        "audit:verify",
        (
            _arg("--file", metavar="FILE", help="an exported chain, instead of the platform's own"),
            _arg("--anchor", metavar="RECORDS:HASH", help="where the exported chain has to end"),
        ),
        waits=False,
    ),
    Verb(
        "audit export",
        "write the audit records to a file, one JSON object a line",
        "The whole chain is verified first, and nothing is written if it doesn't hold. The file is replaced in one step.",
        ("python starter.py audit export audit-2026.jsonl", "python starter.py audit export bikes.jsonl --endpoint bikes"),
        "audit:export",
        (
            _arg("file", metavar="FILE", help="where to write"),
            _arg("--endpoint", metavar="ENDPOINT", help="only this endpoint; such a file can't be verified as a chain"),
        ),
        waits=False,
    ),
    Verb(
        "reproduce",
        "take a recorded decision again and name what is not the same",
        "Verifies the chain and the kept evidence, judges the kept predictions again, then retrieves the window, trains and "
        "scores anew, and holds each result to the record. Ends with 6 if anything differs and with 7 if something could not be "
        "checked. Nothing that lasts is written, and Temporal is not needed.",
        (
            "python starter.py reproduce 12",
            "python starter.py reproduce bikes/20120304T000000Z-1f2e3d",
            "python starter.py reproduce 5feceb66 --offline",
        ),
        "reproduce:reproduce",
        (
            _arg("record", metavar="RECORD", help="number of the audit record, first digits of its hash (6 or more), or NAME/ID"),
            _arg("--offline", action="store_true", help="from the record and the evidence files only: no retrieval, no training"),
        ),
        waits=False,
    ),
    Verb(
        "backtest",
        "try a policy on your own history",
        "Plays the policy over a CSV or Parquet file in simulated time, by the judgement of the live loop, beside simple habits: "
        "never retrained, and refitted each period on 30 days, 90 days and everything. The card says what the columns mean. "
        "Leaves summary.json, a table of all periods, a plot and a page in the folder. Nothing else is touched or needed.",
        (
            "python starter.py backtest --data rentals.csv --card card.yaml --out tried",
            "python starter.py backtest --data rentals.csv --card card.yaml --out tried --policy mine.yaml --json",
            "python starter.py backtest --template rentals.csv",
        ),
        "backtest:backtest",
        (
            _arg("--data", metavar="FILE", help="a CSV or Parquet file, one row for each answer that was needed"),
            _arg("--card", metavar="CARD", help="a YAML file that says what its columns mean"),
            _arg("--out", metavar="DIR", help="folder for the results; those of an earlier run are replaced"),
            _arg("--policy", metavar="FILE", help="an endpoint's policy as in the fleet file, or a fleet file with one endpoint"),
            _arg("--template", metavar="FILE", help="print a card guessed from this file, and do nothing else"),
        ),
        waits=False,
    ),
    Verb(
        "sweep",
        "remove what outlived its incident",
        "Everything temporary carries the incident that made it. What belongs to an incident whose remediation doesn't run "
        "any more is removed, and the audit chain says so. What belongs to a running one is left alone.",
        ("python starter.py sweep --dry-run", "python starter.py sweep"),
        "sweep:sweep",
        (_DRY_RUN,),
    ),
    Verb(
        "doctor",
        "check that everything the loop needs is there",
        "Looks at Temporal, the workers on both queues, the bridge, the home folder, its disk, and whether others can read "
        "private keys. Ends with 1 if something is missing.",
        ("python starter.py doctor",),
        "doctor:doctor",
    ),
)

GROUPS: Final = {"audit": "read, verify and export the audit chain"}
"""First words of the verbs that have two."""
