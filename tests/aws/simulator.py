"""The simulator from outside: start it, point botocore at it, arm faults, read its log."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx

from tests.aws.world import REGION

ROOT = Path(__file__).parents[2]


class Simulator:
    """A running process; `stop` ends it and whatever it started."""

    def __init__(self, process: subprocess.Popen[str], url: str) -> None:
        self._process = process
        self.url = url
        self._client = httpx.Client(base_url=f"{url}/_sim/")

    @classmethod
    def start(cls, home: Path, speed: float = 60.0, port: int = 0) -> "Simulator":
        home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "tests.aws", "--home", str(home), "--speed", str(speed), "--port", str(port)]
        with (home / "simulator.log").open("a") as log:
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True)
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"the simulator did not start: {(home / 'simulator.log').read_text()[-2000:]}")
        return cls(process, json.loads(line)["url"])

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to take the simulator for AWS."""
        return {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ACCESS_KEY_ID": "AKIAIOSFODNN7EXAMPLE",
            "AWS_SECRET_ACCESS_KEY": "simulated",
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def fault(self, service: str, operation: str, kind: str, times: int = 1, after: int = 0) -> None:
        """Strike the next calls of an operation, by the API's name: `fault("sagemaker", "CreateTrainingJob", "timeout_after")`."""
        self._ask("faults", {"service": service, "operation": operation, "kind": kind, "times": times, "after": after})

    def calls(self, service: str | None = None, operation: str | None = None) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self._ask("calls")
        return [c for c in found if service in (None, c["service"]) and operation in (None, c["operation"])]

    def advance(self, seconds: float) -> None:
        self._ask("clock", {"advance": seconds})

    def reset(self) -> None:
        """Disarm all faults and empty the log; what was made stays."""
        self._ask("reset", {})

    def stop(self) -> None:
        self._client.close()
        self._process.terminate()
        self._process.wait(10)
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _ask(self, path: str, body: dict[str, Any] | None = None) -> Any:
        answer = self._client.get(path) if body is None else self._client.post(path, json=body)
        answer.raise_for_status()
        return answer.json()
