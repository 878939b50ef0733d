"""Where models serve, for the tests that any platform has to pass. A second platform is one more line in STAGES."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from contracts.rollout import Deployment, DeployModel, ServingPolicy
from contracts.training import ModelRef
from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.aws.serving import AwsServing
from platforms.aws.traffic import AwsTrafficLog
from platforms.errors import PlatformError
from platforms.local.feature_table import FeatureTable
from platforms.local.traffic import LocalTrafficLog
from platforms.ports import Serving, TrafficLog
from tests.aws.fixtures import new_account
from tests.aws.hosted import until
from tests.aws.offline_store import OfflineStore
from tests.aws.shelf import Shelf
from tests.platforms.serving.captured import append_labels, labels_table

Labelled = tuple[str, float, float, float]
"""Id, hour of the event, hour at which the label arrived, label."""


@dataclass(frozen=True)
class Answered:
    """What a caller gets; 0 is no answer at all."""

    status: int
    said: dict[str, Any]


class Stage(Protocol):
    serving: Serving
    traffic: TrafficLog

    def register(self, endpoint: str, seed: int = 1) -> ModelRef: ...

    def land(self, model: ModelRef, key: str, **settings: Any) -> Deployment:
        """Deploy, and wait until it has landed."""
        ...

    def call(self, endpoint: str, *rows: dict[str, Any]) -> Answered: ...

    def label(self, table: str, *given: Labelled) -> None:
        """Labels that have arrived."""
        ...


class LocalStage:
    """The supervisor of the test's module."""

    def __init__(self, supervisor: Any, tools: Any) -> None:
        self._supervisor, self._tools = supervisor, tools
        self.serving: Serving = supervisor.serving
        self.traffic: TrafficLog = LocalTrafficLog(supervisor.home)

    def register(self, endpoint: str, seed: int = 1) -> ModelRef:
        made: ModelRef = self._tools.make_model(self._supervisor.home, endpoint, seed)
        return made

    def land(self, model: ModelRef, key: str, **settings: Any) -> Deployment:
        landed: Deployment = self._supervisor.deploy(model, key, **settings)
        return landed

    def call(self, endpoint: str, *rows: dict[str, Any]) -> Answered:
        answer = self._tools.post(self.serving.describe(endpoint).url, *rows)
        return Answered(answer.status_code, answer.json())

    def label(self, table: str, *given: Labelled) -> None:
        append_labels(FeatureTable(self._supervisor.home / "features", table), *given)


class AwsStage:
    """SageMaker endpoints of the simulated account."""

    def __init__(self, aws: Aws) -> None:
        objects = Objects(aws)
        self._aws, self._shelf = aws, Shelf(objects)
        self.serving: Serving = AwsServing(aws, objects, self._shelf)
        self.traffic: TrafficLog = AwsTrafficLog(aws, objects)

    def register(self, endpoint: str, seed: int = 1) -> ModelRef:
        return self._shelf.put(endpoint, seed)

    def land(self, model: ModelRef, key: str, **settings: Any) -> Deployment:
        self.serving.deploy(DeployModel(key=key, model=model, serving=ServingPolicy(**settings)))
        until(lambda: self.serving.describe(model.endpoint).landed)
        return self.serving.describe(model.endpoint)

    def call(self, endpoint: str, *rows: dict[str, Any]) -> Answered:
        name, body = f"{self._aws.settings.endpoint_prefix}{endpoint}", json.dumps({"requests": list(rows)}).encode()
        try:
            answer = self._aws.call("sagemaker-runtime", "invoke_endpoint", EndpointName=name, Body=body)
        except PlatformError as error:
            return Answered(0, {"error": str(error)})
        return Answered(answer["ResponseMetadata"]["HTTPStatusCode"], json.loads(answer["Body"].read()))

    def label(self, table: str, *given: Labelled) -> None:
        OfflineStore(self._aws).append(table, labels_table(*given))


STAGES: dict[str, Callable[[Any], Stage]] = {
    "local": lambda given: LocalStage(given("supervisor"), given("tools")),
    "aws": lambda given: AwsStage(new_account(feature_group_prefix=f"{given('aws').settings.prefix}-")),
}
"""Each is given the test's fixtures by name."""
