"""The bench's pairs and the replayed requests as one evidence file: killed anywhere, asked twice, it is the same file."""

from copy import deepcopy
from typing import Any

import numpy as np
import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.bench import BenchActivities
from activities.predictions import decode, kept_part
from activities.shadow_evaluation import ShadowEvaluationActivities
from contracts.evaluation import Evidence
from contracts.fleet import EndpointPolicy
from contracts.shadow import AdviseBench, BenchAdvice
from contracts.shadow_evaluation import EvaluateRefit
from contracts.training import Challenger
from platforms.ports import Platform
from tests.activities.dying import Death, Killed
from tests.benches import fitted, keep_a_record, shadow_policy, snapshot_at
from tests.fakes import AS_OF, World, fake_platform

POLICY = shadow_policy()


def a_world(refit: float = 0.9, policy: EndpointPolicy = POLICY) -> tuple[World, EvaluateRefit]:
    """A bench with a verdict, and a refit of this quality."""
    world = World(endpoint="bikes", challenger_quality=refit)
    world.champion(quality=0.6)
    keep_a_record(world, policy)
    platform = fake_platform(world)
    snapshot = snapshot_at(platform, "bikes", policy, AS_OF)
    asked = AdviseBench(endpoint="bikes", policy=policy, snapshot=snapshot, incident="i")
    advice: BenchAdvice = ActivityEnvironment().run(BenchActivities(platform).advise_bench, asked)
    request = EvaluateRefit(
        key="incident/evaluate/1",
        endpoint="bikes",
        incident="i",
        snapshot=snapshot,
        advice=advice,
        champion=platform.registry.get(world.manifests[-1].champion),
        refit=_refit(platform, policy, advice),
        threshold=0.5,
        data=policy.data,
    )
    return world, request


def _refit(platform: Platform, policy: EndpointPolicy, advice: BenchAdvice) -> Challenger:
    return fitted(platform, "bikes", policy, snapshot_at(platform, "bikes", policy, AS_OF), key="refit")


def run(platform: Platform, request: EvaluateRefit) -> Evidence:
    evidence: Evidence = ActivityEnvironment().run(ShadowEvaluationActivities(platform).evaluate_refit, request)
    return evidence


def test_killed_anywhere_and_run_again_it_ends_the_same() -> None:
    before, request = a_world()
    smooth, death = deepcopy(before), Death()
    wanted = run(death.on(fake_platform(smooth)), request)
    assert "traffic.replay" in death.calls
    for at in range(1, len(death.calls) + 1):
        for after in (False, True):
            world = deepcopy(before)
            with pytest.raises(Killed):
                run(Death(at, after=after).on(fake_platform(world)), request)
            assert run(fake_platform(world), request) == wanted
            assert world.files == smooth.files


def test_the_rows_are_those_that_the_bench_judged_and_live_requests_carry_no_label() -> None:
    world, request = a_world()
    evidence = run(fake_platform(world), request)
    assert request.advice.evidence is not None
    theirs = kept_part(world.files[request.advice.evidence.uri], "holdout")
    ours = kept_part(world.files[evidence.uri], "holdout")
    assert np.array_equal(theirs.champion, ours.champion)
    assert np.array_equal(theirs.challenger, ours.challenger)
    assert np.array_equal(theirs.rows.ids, ours.rows.ids)
    replay = decode(world.files[evidence.uri]).replay
    assert len(replay) == evidence.replay_rows > 0
    assert np.isnan(replay.label).all()


def test_judged_fit_and_refit_answer_with_the_same_shift() -> None:
    world, request = a_world()
    told = request.advice.model_copy(update={"refit": request.advice.refit.model_copy(update={"shift": (0.5,)})})
    replay = kept_part(world.files[run(fake_platform(world), request.model_copy(update={"advice": told})).uri], "replay")
    plain = kept_part(world.files[run(fake_platform(world), request).uri], "replay")
    moved = np.log(replay.challenger / (1 - replay.challenger)) - np.log(plain.challenger / (1 - plain.challenger))
    assert moved == pytest.approx(0.5)


def test_without_a_refit_nothing_is_replayed() -> None:
    world, request = a_world()
    evidence = run(fake_platform(world), request.model_copy(update={"refit": None}))
    assert (evidence.replay_rows, evidence.refit) == (0, None)
    assert evidence.holdout_rows > 0


def test_the_refit_is_covered_by_the_digest() -> None:
    world, request = a_world()
    other = request.refit.model_copy(update={"model": request.champion.model}) if request.refit and request.champion else None
    changed = request.model_copy(update={"refit": other})
    assert run(fake_platform(world), request).digest != run(fake_platform(world), changed).digest


def test_slices_are_taken_from_the_snapshot_by_the_rows_ids() -> None:
    policy = shadow_policy(data={"slices": ["noise"]})
    world, request = a_world(policy=policy)
    evidence = run(fake_platform(world), request)
    found = decode(world.files[evidence.uri]).slices["noise"]
    assert len(found) == evidence.holdout_rows
    assert np.isfinite(found).all()


@pytest.mark.parametrize("lacking", [{"evidence": None}, {"judged": None}])
def test_an_advice_without_a_verdict_is_refused(lacking: dict[str, Any]) -> None:
    world, request = a_world()
    changed = request.model_copy(update={"advice": request.advice.model_copy(update=lacking)})
    with pytest.raises(ApplicationError, match="no verdict as of 2024-06-01"):
        run(fake_platform(world), changed)
