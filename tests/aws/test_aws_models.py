"""Registry and scores on AWS: one package for a digest whatever is lost, one approved, and the local platform's very numbers."""

import json
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from contracts.training import Challenger, MemberRecipe, ModelRef, ModelStatus, Purpose, Recipe, Task
from learning.artifact import Artifact, Member, encoded
from learning.fit import fit_member
from learning.rows import LabelledRows
from platforms.aws.artifacts import packed_artifact
from platforms.aws.calls import Aws
from platforms.aws.names import tags_of
from platforms.aws.objects import Objects
from platforms.aws.registry import AwsRegistry
from platforms.aws.scorer import AwsScorer
from platforms.errors import Conflict, Invalid, Unavailable
from platforms.local.scorer import LocalScorer
from platforms.patience import ticking
from platforms.ports import Rows
from tests.aws.fixtures import new_account
from tests.aws.simulator import Simulator
from tests.platforms.data_fixtures import DATA, LEARNER, TAGS, at, card

pytestmark = pytest.mark.processes

CREATE = ("sagemaker", "CreateTransformJob")
RANDOM = np.random.default_rng(7)


def _fitted(task: Task, classes: tuple[str, ...] = ()) -> bytes:
    """An artifact of two members."""
    n = 400
    features = np.column_stack([np.arange(n) % 24, RANDOM.normal(15, 8, n)]).astype(np.float64)
    label = {Task.BINARY: features[:, 1] > 15, Task.MULTICLASS: np.arange(n) % 3, Task.REGRESSION: features[:, 1] ** 2}[task]
    times = np.arange(n, dtype=np.int64) * 3_600_000_000 + 1_325_376_000_000_000
    rows = LabelledRows(times, features, label.astype(np.float64))
    recipe = MemberRecipe(horizon="all")
    texts = [
        fit_member(recipe, rows, end=at(60), learner=LEARNER.model_copy(update={"rounds": rounds}), task=task, classes=3)
        for rounds in (5, 9)
    ]
    members = tuple(Member(name=f"m{i}", trees=text) for i, text in enumerate(texts))
    shift = (0.125,) * max(1, len(classes))
    return encoded(Artifact(features=DATA.features, task=task, classes=classes, members=members, shift=shift))


def _made(objects: Objects, content: bytes, endpoint: str = "bikes") -> Challenger:
    digest = sha256(content).hexdigest()
    uri = objects.put(f"jobs/{digest[:16]}/output/model.tar.gz", packed_artifact(content))
    return Challenger(
        model=ModelRef(endpoint=endpoint, digest=digest),
        artifact_uri=uri,
        purpose=Purpose.REFIT,
        trained_through=at(60),
        rows=400,
        positives=0,
        base_rate=0.0,
        dataset_sha256="0" * 64,
    )


def _rows(n: int = 50) -> Rows:
    features = np.column_stack([RANDOM.integers(0, 24, n), RANDOM.normal(15, 8, n)]).astype(np.float64)
    features[3, 1], features[4, 0] = np.nan, 1e-300
    return Rows(np.array(["a"] * n), np.array(["2012-03-01"] * n, "datetime64[us]"), features, np.zeros(n))


@pytest.fixture(scope="module")
def binary() -> bytes:
    return _fitted(Task.BINARY)


@pytest.fixture
def made(objects: Objects, binary: bytes) -> Challenger:
    return _made(objects, binary)


@pytest.fixture
def scorer(aws: Aws, objects: Objects) -> AwsScorer:
    return AwsScorer(aws, objects)


@pytest.fixture
def registry(aws: Aws, objects: Objects) -> AwsRegistry:
    return AwsRegistry(aws, objects)


# ---- scores


@pytest.mark.parametrize("task", Task)
def test_a_transform_says_what_the_local_platform_says_to_the_last_bit(
    task: Task, scorer: AwsScorer, objects: Objects, tmp_path: Path
) -> None:
    content = _fitted(task, ("a", "b", "c") if task is Task.MULTICLASS else ())
    made, rows = _made(objects, content), _rows()
    (tmp_path / "model.json").write_bytes(content)
    here, asked = LocalScorer(), (str(tmp_path / "model.json"), made.model, DATA.features, rows)
    there = (made.artifact_uri, *asked[1:])
    assert np.array_equal(scorer.score(*there), here.score(*asked))
    said, wanted = scorer.margins(*there), here.margins(*asked)
    assert np.array_equal(said.of_members, wanted.of_members)
    assert (said.members, said.shift) == (wanted.members, wanted.shift)


def test_the_same_question_is_answered_once_and_leaves_no_model(
    aws: Aws, scorer: AwsScorer, made: Challenger, simulator: Simulator
) -> None:
    rows = _rows()
    first = scorer.score(made.artifact_uri, made.model, DATA.features, rows)
    again = AwsScorer(aws, scorer._objects).score(made.artifact_uri, made.model, DATA.features, rows)
    assert np.array_equal(first, again)
    assert len(simulator.calls(*CREATE)) == 1
    assert aws.call("sagemaker", "list_models", NameContains=aws.settings.prefix)["Models"] == []


def test_answers_that_the_bucket_has_let_go_of_are_made_again(
    scorer: AwsScorer, objects: Objects, made: Challenger, simulator: Simulator
) -> None:
    rows = _rows()
    first = scorer.score(made.artifact_uri, made.model, DATA.features, rows)
    objects.remove_all("transforms/")
    assert np.array_equal(scorer.score(made.artifact_uri, made.model, DATA.features, rows), first)
    assert len(simulator.calls(*CREATE)) == 2


def test_a_job_whose_answer_was_lost_is_followed(scorer: AwsScorer, made: Challenger, simulator: Simulator) -> None:
    rows = _rows()
    for operation in ("CreateModel", "CreateTransformJob"):
        simulator.fault("sagemaker", operation, "timeout_after")
        with pytest.raises(Unavailable):
            scorer.score(made.artifact_uri, made.model, DATA.features, rows)
    assert scorer.score(made.artifact_uri, made.model, DATA.features, rows).shape == (50,)
    assert len([call for call in simulator.calls(*CREATE) if call["outcome"].startswith("ok")]) == 1


def test_a_job_without_a_machine_is_followed_by_another(scorer: AwsScorer, made: Challenger, simulator: Simulator) -> None:
    simulator.fault(*CREATE, "capacity")
    assert scorer.score(made.artifact_uri, made.model, DATA.features, _rows()).shape == (50,)
    assert len(simulator.calls(*CREATE)) == 2


def test_a_job_is_tagged_for_whom_it_is_run(aws: Aws, scorer: AwsScorer, made: Challenger, simulator: Simulator) -> None:
    with ticking(lambda: None, TAGS):
        scorer.score(made.artifact_uri, made.model, DATA.features, _rows())
    [asked] = [call["params"] for call in simulator.calls(*CREATE)]
    tags = {tag["Key"]: tag["Value"] for tag in asked["Tags"]}
    assert (tags["homeostat:incident"], tags["homeostat:cost-center"]) == (TAGS.incident, TAGS.cost_center)
    assert tags["homeostat:temporary"] == "yes"


def test_a_job_that_is_stopped_while_it_is_waited_for_is_not_begun_anew_until_it_is_asked_for_again(
    aws: Aws, scorer: AwsScorer, made: Challenger, simulator: Simulator
) -> None:
    rows = _rows()

    def stop() -> None:
        name = simulator.calls(*CREATE)[0]["params"]["TransformJobName"]
        if aws.call("sagemaker", "describe_transform_job", TransformJobName=name)["TransformJobStatus"] == "InProgress":
            aws.client("sagemaker").stop_transform_job(TransformJobName=name)

    with ticking(stop), pytest.raises(Unavailable, match="was stopped from outside"):
        scorer.score(made.artifact_uri, made.model, DATA.features, rows)
    assert len(simulator.calls(*CREATE)) == 1
    assert scorer.score(made.artifact_uri, made.model, DATA.features, rows).shape == (50,)


def test_a_model_that_can_not_answer_says_so(scorer: AwsScorer, made: Challenger, objects: Objects) -> None:
    broken = objects.put("container/broken.tar.gz", packed_artifact(b"{}"))
    scorer._package._kept = broken
    with pytest.raises(Invalid, match="can't score in batch transform: AlgorithmError"):
        scorer.score(made.artifact_uri, made.model, DATA.features, _rows())


def test_the_worker_scores_itself_where_that_is_chosen(
    aws: Aws, objects: Objects, binary: bytes, simulator: Simulator, scorer: AwsScorer
) -> None:
    made, rows = _made(objects, binary), _rows()
    there = scorer.score(made.artifact_uri, made.model, DATA.features, rows)
    own = new_account(scoring="worker")
    again = _made(Objects(own), binary)
    here = AwsScorer(own, Objects(own)).score(again.artifact_uri, again.model, DATA.features, rows)
    assert np.array_equal(there, here)
    assert len(simulator.calls(*CREATE)) == 1


# ---- registry


def _packages(aws: Aws, registry: AwsRegistry, endpoint: str = "bikes") -> list[dict[str, Any]]:
    group = registry._group(endpoint)
    return list(aws.call("sagemaker", "list_model_packages", ModelPackageGroupName=group)["ModelPackageSummaryList"])


def test_the_champion_alone_is_approved(
    aws: Aws, registry: AwsRegistry, made: Challenger, objects: Objects, simulator: Simulator
) -> None:
    rival = _made(objects, _fitted(Task.BINARY))
    one, two = (registry.register(card(each)).model for each in (made, rival))
    registry.mark(one, ModelStatus.CHAMPION)
    registry.mark(two, ModelStatus.CHAMPION)
    statuses = {row["ModelPackageDescription"][-64:]: row["ModelApprovalStatus"] for row in _packages(aws, registry)}
    assert statuses == {one.digest: "Rejected", two.digest: "Approved"}
    assert registry.get(one).status is ModelStatus.RETIRED


def test_two_champions_left_by_a_death_are_healed_by_the_next_mark(
    registry: AwsRegistry, made: Challenger, objects: Objects, simulator: Simulator
) -> None:
    one, two = (registry.register(card(each)).model for each in (made, _made(objects, _fitted(Task.BINARY))))
    registry.mark(one, ModelStatus.CHAMPION)
    simulator.fault("sagemaker", "ListModelPackages", "server_error")
    with pytest.raises(Unavailable):
        registry.mark(two, ModelStatus.CHAMPION)
    assert registry.get(one).status is registry.get(two).status is ModelStatus.CHAMPION
    registry.mark(two, ModelStatus.CHAMPION)
    assert registry.get(one).status is ModelStatus.RETIRED


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("CreateModelPackageGroup", "timeout_after"),
        ("CreateModelPackage", "timeout_after"),
        ("CreateModelPackage", "throttle"),
        ("CreateModelCard", "timeout_after"),
        ("CreateModelCard", "server_error"),
    ],
)
def test_a_registration_that_broke_off_is_finished_and_stays_one(
    registry: AwsRegistry, made: Challenger, simulator: Simulator, operation: str, kind: str
) -> None:
    simulator.fault("sagemaker", operation, kind)
    with pytest.raises(Unavailable):
        registry.register(card(made))
    kept = registry.register(card(made))
    assert kept.status is ModelStatus.PENDING
    assert len(_packages(registry._aws, registry)) == 1


def test_package_and_card_say_where_the_model_comes_from(aws: Aws, registry: AwsRegistry, made: Challenger) -> None:
    asked = card(made).model_copy(update={"reference": {"log_loss": 0.25}})
    kept = registry.register(asked)
    [row] = _packages(aws, registry)
    told = aws.call("sagemaker", "describe_model_package", ModelPackageName=row["ModelPackageArn"])
    assert told["CustomerMetadataProperties"]["dataset_sha256"] == made.dataset_sha256
    assert told["MetadataProperties"]["GeneratedBy"] == made.artifact_uri
    assert told["InferenceSpecification"]["Containers"][0]["ModelDataUrl"] == kept.artifact_uri
    shown = aws.call("sagemaker", "describe_model_card", ModelCardName=registry._card_name(kept.model))
    content = json.loads(shown["Content"])
    assert content["evaluation_details"][0]["metric_groups"][0]["metric_data"] == [
        {"name": "log_loss", "type": "number", "value": 0.25}
    ]
    registry.mark(kept.model, ModelStatus.CHAMPION)
    shown = aws.call("sagemaker", "describe_model_card", ModelCardName=registry._card_name(kept.model))
    assert (shown["ModelCardStatus"], json.loads(shown["Content"])) == ("Approved", content)


def test_what_people_named_freely_becomes_what_aws_takes(aws: Aws, registry: AwsRegistry, made: Challenger) -> None:
    blend = Recipe(members=(MemberRecipe(horizon="30d"), MemberRecipe(horizon="all", half_life="90d")))
    model = registry.register(card(made).model_copy(update={"recipe": blend, "key": "k#1"})).model
    [package] = _packages(aws, registry)
    told = aws.call("sagemaker", "describe_model_package", ModelPackageName=package["ModelPackageArn"])
    assert told["CustomerMetadataProperties"]["members"] == "30d all/90d"
    assert told["CustomerMetadataProperties"]["key"] == "k_1"
    assert registry.get(model).recipe == blend
    assert tags_of(TAGS.model_copy(update={"team": "R&D, Köln"}), "k")["homeostat:team"] == "R_D_ Köln"


def test_a_recalibration_is_made_once_under_its_key(registry: AwsRegistry, made: Challenger) -> None:
    base = registry.register(card(made))
    shifted = registry.recalibrated(base.model, (0.5,), "recalibrate/1")
    assert (shifted.shift, shifted.derived_from, shifted.status) == ((0.5,), base.model.digest, ModelStatus.PENDING)
    assert registry.recalibrated(base.model, (0.5,), "recalibrate/1") == shifted
    assert registry.recalibrated(shifted.model, (0.125,), "recalibrate/2").model == base.model
    with pytest.raises(Conflict, match="'recalibrate/1' made model"):
        registry.recalibrated(base.model, (0.75,), "recalibrate/1")
    with pytest.raises(Invalid, match="can't be recalibrated"):
        registry.recalibrated(base.model, (0.5, 0.5), "recalibrate/3")
