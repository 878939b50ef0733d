"""Registry and scores: one package for a model, one champion, the same numbers, and no model left behind a score."""

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import numpy as np

from contracts.training import ModelCard, ModelRef, ModelStatus
from learning.artifact import FILE_NAME
from platforms.aws.packaging import archive
from platforms.aws.registry import AwsRegistry
from platforms.aws.scorer import AwsScorer
from platforms.ports import Rows
from tests.aws.faulting import Stage, Step, Story
from tests.aws.shelf import FEATURES, Shelf, trained


def _card(stage: Stage, seed: int) -> ModelCard:
    """As a training job hands it over."""
    shelf = Shelf(stage.objects)
    card = shelf.get(shelf.put("bikes", seed))
    uri = stage.objects.put(f"jobs/{seed}/output/model.tar.gz", archive({FILE_NAME: trained(seed)}))
    stage.objects.remove_all("models/")
    return card.model_copy(update={"artifact_uri": uri})


def _registry(stage: Stage) -> AwsRegistry:
    """As another worker opens it."""
    return AwsRegistry(stage.aws, stage.objects)


def _packages(stage: Stage) -> list[dict[str, Any]]:
    prefix = stage.aws.settings.prefix
    groups = stage.seen("sagemaker", "list_model_package_groups", NameContains=prefix)["ModelPackageGroupSummaryList"]
    assert len(groups) == 1
    group = groups[0]["ModelPackageGroupName"]
    found: list[dict[str, Any]] = stage.seen("sagemaker", "list_model_packages", ModelPackageGroupName=group)[
        "ModelPackageSummaryList"
    ]
    return found


def _registering(stage: Stage) -> Step:
    card = stage.kept["card"] = _card(stage, 1)
    return lambda: _registry(stage).register(card)


def _registering_holds(stage: Stage) -> None:
    card = stage.kept["card"]
    assert len(_packages(stage)) == 1
    assert len(stage.done("sagemaker", "CreateModelCard")) == 1
    assert _registry(stage).get(card.model).status is ModelStatus.PENDING
    assert _registry(stage).register(card).model == card.model
    assert len(_packages(stage)) == 1


def _champion(stage: Stage) -> Step:
    first, second = (_registry_of(stage, seed) for seed in (1, 2))
    _registry(stage).mark(first, ModelStatus.CHAMPION)
    stage.kept["models"] = (first, second)
    return lambda: _registry(stage).mark(second, ModelStatus.CHAMPION)


def _registry_of(stage: Stage, seed: int) -> ModelRef:
    shelf = Shelf(stage.objects)
    card = shelf.get(shelf.put("bikes", seed))
    return _registry(stage).register(card).model


def _champion_holds(stage: Stage) -> None:
    first, second = stage.kept["models"]
    assert [_registry(stage).get(model).status for model in (first, second)] == [ModelStatus.RETIRED, ModelStatus.CHAMPION]
    approved = [each for each in _packages(stage) if each["ModelApprovalStatus"] == "Approved"]
    assert len(approved) == 1


def _rows() -> Rows:
    n = 12
    times = [datetime(2024, 1, 1, tzinfo=UTC) + timedelta(hours=hour) for hour in range(n)]
    features = np.column_stack([np.arange(n, dtype=float) * 2, np.full(n, 3.5)])
    return Rows(
        ids=np.array([f"row-{n}" for n in range(n)]),
        event_time=np.array([np.datetime64(time.replace(tzinfo=None), "us") for time in times]),
        features=features,
        label=np.zeros(n),
    )


def _scoring(stage: Stage) -> Step:
    card = stage.kept["card"] = _card(stage, 1)

    def step() -> None:
        scorer = AwsScorer(stage.aws, stage.objects)
        stage.kept["scores"] = scorer.score(card.artifact_uri, card.model, FEATURES, _rows())

    return step


def _scoring_holds(stage: Stage) -> str | None:
    from learning.artifact import Model

    assert (stage.kept["scores"] == Model.load(trained(1)).score(_rows().features)).all()
    prefix = stage.aws.settings.prefix
    jobs = stage.seen("sagemaker", "list_transform_jobs", NameContains=prefix)["TransformJobSummaries"]
    statuses = sorted(str(job["TransformJobStatus"]) for job in jobs)
    assert statuses == (["Completed", "Failed"] if stage.kind == "capacity" else ["Completed"])
    assert stage.seen("sagemaker", "list_models", NameContains=prefix)["Models"] == []
    return "next machine" if stage.kind == "capacity" else None


_REGISTERED: Final = "one group, one package and one card for the model, and where it stands"
_ONE: Final = "one package is approved: the new champion; the former one is retired"
_SCORED: Final = "the same numbers to the last bit, one job, and no model left"
_LIMIT: Final = ("resource_limit",)


def _story(operation: str, step: str, promise: str, begin: Any, holds: Any, **other: Any) -> Story:
    return Story("sagemaker", operation, step, promise, begin, holds, **other)


MODELS: Final = (
    _story("create_model_package_group", "register: the group", _REGISTERED, _registering, _registering_holds, more=_LIMIT),
    _story("create_model_package", "register: the package", _REGISTERED, _registering, _registering_holds, more=_LIMIT),
    _story("create_model_card", "register: the card", _REGISTERED, _registering, _registering_holds, more=_LIMIT),
    _story("update_model_package", "make a champion: approve", _ONE, _champion, _champion_holds),
    _story("update_model_package", "make a champion: retire the former", _ONE, _champion, _champion_holds, skip=1, seldom=True),
    _story("update_model_card", "make a champion: the card", _ONE, _champion, _champion_holds),
    _story(
        "create_transform_job",
        "score: the job",
        _SCORED,
        _scoring,
        _scoring_holds,
        more=("resource_limit", "capacity"),
        processes=True,
    ),
    _story("create_model", "score: the model", _SCORED, _scoring, _scoring_holds, more=_LIMIT, processes=True, seldom=True),
    _story("delete_model", "score: tidy up", _SCORED, _scoring, _scoring_holds, processes=True, seldom=True),
)
