"""The two other ways see nothing that was not known yet."""

from datetime import timedelta
from pathlib import Path

import lightgbm
import numpy as np
from demo_stories import START, hours

from contracts.training import LearnerSettings
from demo.baselines import baselines
from demo.data import LABEL_DELAY, WEEK, Hours
from learning.artifact import Artifact, Member
from learning.fit import parameters
from platforms.tabular.artifact_file import write_model

LEARNER = LearnerSettings(rounds=20)
DATA = hours(24 * 60)
BEGIN = START + timedelta(days=40)


def model_file(folder: Path) -> Path:
    past = DATA.between(START, BEGIN)
    trees = lightgbm.train(parameters(LEARNER), lightgbm.Dataset(past.features, past.busy), 5).model_to_string()
    return write_model(folder, Artifact(features=("a", "b", "c", "d", "e"), members=(Member(name="all", trees=trees),)))[0]


def test_labels_that_come_later_change_no_earlier_score(tmp_path: Path) -> None:
    replayed = DATA.between(BEGIN, BEGIN + 2 * WEEK)
    known = np.array([when + LABEL_DELAY <= BEGIN + WEEK for when in DATA.event_time])
    flipped = np.where(known, DATA.busy, 1 - DATA.busy)
    other = Hours(DATA.ids, DATA.event_time, DATA.features, flipped)
    first, second = (baselines(each, replayed, model_file(tmp_path), LEARNER) for each in (DATA, other))
    assert len(first.weekly) == len(first.never) == len(replayed)
    assert np.array_equal(first.weekly, second.weekly)
    assert not np.array_equal(first.weekly[:168], first.never[:168])
