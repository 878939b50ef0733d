"""The proof of the gate is itself held to account: a defect is as large as it says, and figures are what they are named."""

import numpy as np
import pytest

from bench.gate_null import Looked, clopper_upper, rates
from bench.gate_power import Job, tried_in
from bench.spoiled import DEFECTS, EQUAL, World, sigmoid
from contracts.evaluation import GateKind

ROWS, DAYS = 6000, 60


def _world(day_effects: float = 0.1) -> World:
    rng = np.random.default_rng(1)
    good = rng.normal(-1, 1.2, ROWS)
    place = np.arange(ROWS) % DAYS
    return World(
        days=tuple(np.flatnonzero(place == day) for day in range(DAYS)),
        truth=sigmoid(good + day_effects * rng.normal(size=DAYS)[place]),
        good=good,
        old=good + rng.normal(0, 1, ROWS),
        slice=np.arange(ROWS) % 3 == 0,
    )


@pytest.mark.parametrize("defect", DEFECTS)
@pytest.mark.parametrize("share", [0.02, 0.05, 0.1])
def test_a_spoiled_champion_is_worse_by_exactly_what_was_asked_for(defect: str, share: float) -> None:
    world = _world()
    assert world.loss(world.spoiled(defect, share)) == pytest.approx(world.loss(world.good) * (1 + share), rel=1e-6)


def test_a_spoiled_slice_leaves_the_other_rows_as_they_were() -> None:
    world = _world()
    champion = world.spoiled("slice", 0.05)
    assert (champion[~world.slice] == world.good[~world.slice]).all()
    assert (champion[world.slice] != world.good[world.slice]).all()


def test_the_strict_gate_finds_a_wrong_scale_in_many_rows_and_promotes_no_equal_rival() -> None:
    spoiled, equal = (tried_in(_world(), Job("", defect, "", 6300, 4)) for defect in ("scale", EQUAL))
    assert all(one.promoted for one in spoiled if one.kind is GateKind.STRICT)
    assert not any(one.promoted for one in equal if one.kind is GateKind.STRICT)
    assert all(one.promised > 0.9 for one in spoiled)


def test_ever_counts_pairs_and_the_rate_counts_looks() -> None:
    looks = [Looked(f"chain {i % 4}", f"pair {i // 4 % 5}", promoted=i == 0) for i in range(240)]
    found = rates("false", looks)
    assert found["false_rate"] == pytest.approx(1 / 240)
    assert found["false_ever"] == pytest.approx(1 / 20)
    assert found["false_rate"] < found["false_upper"] < found["false_ever_upper"]


def test_the_upper_bound_is_that_of_clopper_and_pearson() -> None:
    assert clopper_upper(0, 100) == pytest.approx(1 - 0.025 ** (1 / 100), abs=1e-6)
    assert clopper_upper(5, 100) == pytest.approx(0.1128, abs=1e-3)
    assert clopper_upper(3, 3) == 1.0
