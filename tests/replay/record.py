"""Record the histories that `test_replay.py` replays: `python -m tests.replay.record [--fingerprints] [SCENARIO ...]`.

Without an option it writes one JSON file per workflow run under `histories/`, and `fingerprints.json`. Do that when nothing of
the old shape can be running any more. With `--fingerprints` the histories stay, and only the accepted command sequences are
written: do that after a change guarded by `workflow.patched`, which old histories must go on to replay.
"""

import argparse
import asyncio
import sys
from uuid import uuid4

from temporalio.testing import WorkflowEnvironment

from tests.replay.fingerprints import FINGERPRINTS, HISTORIES, committed, fingerprint, scrubbed, write_fingerprints
from tests.replay.scenarios import SCENARIOS, play
from tests.servers import embedded_server, hasty_server


async def record(names: list[str], *, histories: bool) -> None:
    accepted = committed() if FINGERPRINTS.exists() else {}
    async with embedded_server() as patient, hasty_server() as hasty:
        for name in names:
            env = hasty if SCENARIOS[name].renews else patient
            for run, history in await _told(name, env):
                accepted[f"{name}.{run}"] = fingerprint(history)
                if histories:
                    (HISTORIES / f"{name}.{run}.json").write_text(scrubbed(history))
                sys.stdout.write(f"{name}.{run}: {len(accepted[f'{name}.{run}'])} commands\n")
    write_fingerprints(accepted)


async def _told(name: str, env: WorkflowEnvironment) -> list[tuple[str, str]]:
    return await play(SCENARIOS[name], env, f"record-{uuid4().hex}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"{', '.join(SCENARIOS)}; all when none is named")
    parser.add_argument("--fingerprints", action="store_true", help="write fingerprints.json only, keep the histories")
    given = parser.parse_args()
    if unknown := sorted(set(given.scenarios) - set(SCENARIOS)):
        parser.error(f"no scenario is called {', '.join(unknown)}")
    asyncio.run(record(given.scenarios or list(SCENARIOS), histories=not given.fingerprints))


if __name__ == "__main__":
    main()
