"""What a judgement of 100,000 rows with 60 slices costs, holdout and replay alike: seconds of one core, and memory.

python -m bench.gate_speed [--rows 100000] [--json]
"""

import argparse
import resource
import time
from datetime import UTC, datetime, timedelta

import numpy as np

from bench.printed import printed
from contracts.evaluation import GatePolicy
from contracts.training import Task
from policies.gate import judge
from policies.metrics import Floats
from policies.paired import PairedScores
from policies.slices import Values

DAYS = 28
CLASSES = 5
_TRAINED = datetime(2026, 1, 1, tzinfo=UTC)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000, help="rows of the holdout, and as many of the replay")
    parser.add_argument("--json", action="store_true", help="print the figures as one JSON object on the last line")
    asked = parser.parse_args()
    found = {f"{task.value}_seconds": seconds(task, asked.rows) for task in Task}
    found["peak_megabytes"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    printed("gate_speed", found, as_json=asked.json)


def seconds(task: Task, rows: int) -> float:
    """Of processor time."""
    pair, names = _pair(task, rows), np.array([f"place {i}" for i in range(20)], dtype=object)
    rng = np.random.default_rng(2)
    slices: dict[str, Values] = {feature: names[rng.integers(0, 20, rows)] for feature in ("one", "two", "three")}
    began = time.process_time()
    judge(
        holdout=pair,
        replay=pair,
        gate=GatePolicy(),
        threshold=0.5,
        champion_trained_through=_TRAINED,
        challenger_trained_through=_TRAINED + timedelta(days=30),
        weeks_since_promotion=4.0,
        evidence_digest="0" * 64,
        slices=slices,
    )
    return time.process_time() - began


def _pair(task: Task, rows: int) -> PairedScores:
    rng = np.random.default_rng(1)
    day = rng.integers(0, DAYS, rows)
    truth = rng.normal(0, 2, (rows, CLASSES))
    label = np.argmax(truth + rng.gumbel(size=truth.shape), axis=1).astype(np.float64)
    champion, challenger = (_softmax(truth + noise * rng.normal(size=truth.shape)) for noise in (1.0, 0.8))
    if task is Task.MULTICLASS:
        return PairedScores(day=day, label=label, champion=champion, challenger=challenger, task=task)
    yes = (label == 0).astype(np.float64) if task is Task.BINARY else truth[:, 0]
    return PairedScores(day=day, label=yes, champion=champion[:, 0], challenger=challenger[:, 0], task=task)


def _softmax(logit: Floats) -> Floats:
    raised = np.exp(logit)
    return np.asarray(raised / raised.sum(axis=1, keepdims=True), dtype=np.float64)


if __name__ == "__main__":
    main()
