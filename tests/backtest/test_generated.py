"""The generated sets move as they say."""

import numpy as np
import pytest

from bench.generated import SHAPES, generate


@pytest.mark.parametrize("name", SHAPES)
def test_a_set_follows_from_its_name_and_seed(name: str) -> None:
    one, again, other = generate(name).table, generate(name).table, generate(name, seed=1).table
    assert np.array_equal(one.features, again.features)
    assert np.array_equal(one.label, again.label)
    assert not np.array_equal(one.features[:9], other.features[:9])
    assert (np.diff(one.event_time) >= 0).all()
    assert (one.known_at > one.event_time).all()


def test_an_inversion_turns_the_signal_round_and_noise_has_none() -> None:
    def side(name: str, first: bool) -> float:
        table = generate(name).table
        week = (table.event_time - table.event_time[0]) / (7 * 86_400_000_000)
        rows = week < 30 if first else (week >= 30) & (week < 45)
        return float(np.corrcoef(table.features[rows, 0], table.label[rows])[0, 1])

    assert side("inversions", first=True) > 0.3
    assert side("inversions", first=False) < -0.3
    assert abs(side("noise", first=True)) < 0.05


def test_holes_hold_no_row_and_rare_positives_are_rare() -> None:
    week = (generate("holes").table.event_time - generate("holes").table.event_time[0]) / (7 * 86_400_000_000)
    assert np.diff(week).max() > 8
    assert 0.05 < generate("rare").table.label.mean() < 0.07
