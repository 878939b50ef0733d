"""The whole way on the AWS adapter with real processes: the stack, an onboarding, an alarm over EventBridge and SQS, a promotion."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
pytestmark = pytest.mark.processes(seconds=100)


def test_an_alarm_becomes_a_promotion_on_the_deployed_stack(tmp_path: Path) -> None:
    environment = {**os.environ, "HOMEOSTAT_HOME": str(tmp_path), "NO_COLOR": "1"}
    command = [sys.executable, "-m", "demo", "--platform", "aws-sim", "--weeks", "8", "--json"]
    done = subprocess.run(
        command, cwd=PROJECT, env=environment, text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    summary = json.loads(done.stdout.splitlines()[-1])
    assert summary["outcomes"] == ["promoted", "promoted"]
    assert summary["training_jobs"] == 4
    assert summary["endpoint_updates"] == 2
    assert summary["dead_letters"] == 0
    assert summary["temporary_resources_left"] == 0
    assert summary["audit"]["verified"]
