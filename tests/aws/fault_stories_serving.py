"""Endpoints: the wanted model serves, or it is told why not; nothing is asked for twice, and nothing is left over."""

from datetime import UTC, datetime
from typing import Any, Final

from contracts.rollout import Deployment, DeployModel, ServingPolicy
from contracts.training import ModelRef
from platforms.aws.deployment_log import Applied, Wish
from platforms.aws.endpoint_parts import EndpointParts
from platforms.aws.packaging import Package
from platforms.aws.scaling import AwsScaling, Bounds
from platforms.aws.serving import AwsServing
from tests.aws.faulting import Stage, Step, Story
from tests.aws.fixtures import IMAGE, ROLE
from tests.aws.hosted import until
from tests.aws.shelf import Shelf

_MADE: Final = ("CreateModel", "CreateEndpointConfig", "UpdateEndpoint")
_VARIANT: Final = "AllTraffic"


def _shelf(stage: Stage) -> Shelf:
    return stage.kept.setdefault("shelf", Shelf(stage.objects))  # type: ignore[no-any-return]


def _port(stage: Stage) -> AwsServing:
    """As another worker opens it."""
    return AwsServing(stage.aws, stage.objects, _shelf(stage))


def _model(stage: Stage, seed: int) -> ModelRef:
    return _shelf(stage).put("bikes", seed)


def _asked(stage: Stage, model: ModelRef, key: str, *, urgent: bool = False) -> Deployment:
    policy = ServingPolicy.model_validate({"instances": 1})
    return _port(stage).deploy(DeployModel(key=key, model=model, serving=policy, urgent=urgent))


def _rests(stage: Stage) -> Deployment:
    found = _port(stage).describe("bikes")

    def over() -> bool:
        nonlocal found
        found = _port(stage).describe("bikes")
        return found.landed or found.failure is not None

    until(over)
    return found


def _landed(stage: Stage, seed: int, key: str) -> ModelRef:
    model = _model(stage, seed)
    _asked(stage, model, key)
    assert _rests(stage).landed
    return model


def _name(stage: Stage) -> str:
    return f"{stage.aws.settings.endpoint_prefix}bikes"


def _configs(stage: Stage) -> set[str]:
    found = stage.seen("sagemaker", "list_endpoint_configs", NameContains=stage.aws.settings.prefix)["EndpointConfigs"]
    return {str(each["EndpointConfigName"]) for each in found}


def _models(stage: Stage) -> set[str]:
    found = stage.seen("sagemaker", "list_models", NameContains=stage.aws.settings.prefix)["Models"]
    return {str(each["ModelName"]) for each in found}


# ---- the first deployment


def _first(stage: Stage) -> Step:
    model = stage.kept["wanted"] = _model(stage, 1)
    return lambda: _asked(stage, model, "k1")


def _first_holds(stage: Stage) -> None:
    found = _rests(stage)
    assert found.landed, found.failure
    assert found.digests == {stage.kept["wanted"].digest: 1}
    assert len(stage.done("sagemaker", "CreateEndpoint")) == 1
    assert len(_configs(stage)) == len(_models(stage)) == 1


# ---- a promotion


def _promotion(stage: Stage) -> Step:
    stage.kept["former"] = _landed(stage, 1, "k1")
    model = stage.kept["wanted"] = _model(stage, 2)
    return lambda: _asked(stage, model, "k2")


def _promotion_holds(stage: Stage) -> str | None:
    found, wanted, former = _rests(stage), stage.kept["wanted"], stage.kept["former"]
    assert [len(stage.done("sagemaker", call)) for call in _MADE] == [1, 1, 1]
    assert found.wanted == wanted.digest
    if stage.kind == "capacity":
        assert found.failure, "a silent rollback"
        assert found.digests == {former.digest: 1}
        assert _asked(stage, wanted, "k2").failure == found.failure
        assert len(stage.done("sagemaker", "UpdateEndpoint")) == 1
        return "rollback told"
    assert found.landed, found.failure
    assert found.digests == {wanted.digest: 1}
    assert len(_configs(stage)) == len(_models(stage)) == 2
    return None


def _way_back(stage: Stage) -> Step:
    former = stage.kept["wanted"] = _landed(stage, 1, "k1")
    stage.kept["former"] = _landed(stage, 2, "k2")
    return lambda: _asked(stage, former, "k3", urgent=True)


def _way_back_holds(stage: Stage) -> None:
    found = _rests(stage)
    assert found.landed, found.failure
    assert found.digests == {stage.kept["wanted"].digest: 1}
    assert [len(stage.done("sagemaker", call)) for call in _MADE] == [0, 0, 1]


# ---- after a deployment


def _bounds(stage: Stage) -> Step:
    _landed(stage, 1, "k1")
    scaling = AwsScaling(stage.aws)
    scaling.hold(_name(stage), _VARIANT, Bounds(least=1, most=4))
    return lambda: scaling.hold(_name(stage), _VARIANT, Bounds(least=1, most=3))


def _bounds_holds(stage: Stage) -> None:
    found = stage.seen("application-autoscaling", "describe_scalable_targets", ServiceNamespace="sagemaker")["ScalableTargets"]
    mine = [(each["MinCapacity"], each["MaxCapacity"]) for each in found if _name(stage) in each["ResourceId"]]
    assert mine == [(1, 3)]


def _many(stage: Stage) -> Step:
    """Five deployments ago, as SageMaker holds them: without endpoints, which would only take time."""
    names = [f"{stage.aws.settings.prefix}-{n}" for n in range(5)]
    for name in names:
        _there(stage, name)
    applied = tuple(Applied(key=name, digest=f"{n:064x}", config=name, recipe=name, model=name) for n, name in enumerate(names))
    last = applied[-1]
    wish = Wish(
        endpoint="bikes",
        revision=5,
        at=datetime.now(UTC),
        key=last.key,
        digest=last.digest,
        config=last.config,
        variant=_VARIANT,
        applied=applied,
        served=tuple(names),
    )
    stage.kept["names"] = names
    parts = EndpointParts(stage.aws, stage.objects, Package(stage.aws, stage.objects))
    return lambda: parts.forget(wish, last.config)


def _there(stage: Stage, name: str) -> None:
    container: dict[str, Any] = {"Image": IMAGE, "ModelDataUrl": stage.objects.put("models/none.tar.gz", b"")}
    stage.seen("sagemaker", "create_model", ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)
    variant = {"VariantName": _VARIANT, "ModelName": name, "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    stage.seen("sagemaker", "create_endpoint_config", EndpointConfigName=name, ProductionVariants=[variant])


def _many_holds(stage: Stage) -> None:
    assert _configs(stage) == _models(stage) == set(stage.kept["names"][2:])


_SERVES: Final = "the wanted model serves, asked for once; two configurations and models, none of them a second one"
_KEPT: Final = "the three that a rollback may need are left, and nothing else"
_LIMIT: Final = ("resource_limit",)


def _story(operation: str, step: str, promise: str, begin: Any, holds: Any, **other: Any) -> Story:
    return Story("sagemaker", operation, step, promise, begin, holds, processes=True, **other)


SERVING: Final = (
    _story("create_endpoint", "first deployment", "one endpoint, with the wanted model", _first, _first_holds, more=_LIMIT),
    _story("create_model", "promote: the model", _SERVES, _promotion, _promotion_holds, more=_LIMIT),
    _story("create_endpoint_config", "promote: the configuration", _SERVES, _promotion, _promotion_holds, more=_LIMIT),
    _story(
        "update_endpoint",
        "promote: the traffic",
        f"{_SERVES}; or the former model serves, and that it went back is told",
        _promotion,
        _promotion_holds,
        more=("resource_limit", "capacity"),
    ),
    Story("s3", "put_object", "promote: the wish is written", _SERVES, _promotion, _promotion_holds, processes=True, seldom=True),
    Story(
        "s3",
        "put_object",
        "promote: the start is noted",
        _SERVES,
        _promotion,
        _promotion_holds,
        skip=1,
        processes=True,
        seldom=True,
    ),
    _story(
        "update_endpoint",
        "go back",
        "the former configuration serves, asked for once, and nothing is made for it",
        _way_back,
        _way_back_holds,
        more=_LIMIT,
        seldom=True,
    ),
    Story(
        "application-autoscaling",
        "register_scalable_target",
        "hold the bounds of scaling",
        "one target, with its bounds",
        _bounds,
        _bounds_holds,
        processes=True,
    ),
    Story("sagemaker", "delete_endpoint_config", "tidy up: configurations", _KEPT, _many, _many_holds),
    Story("sagemaker", "delete_model", "tidy up: models", _KEPT, _many, _many_holds),
)
