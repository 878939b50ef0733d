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
from platforms.errors import PlatformError
from platforms.ports import Serving
from tests.aws.hosted import until
from tests.aws.shelf import Shelf


@dataclass(frozen=True)
class Answered:
    """What a caller gets; 0 is no answer at all."""

    status: int
    said: dict[str, Any]


class Stage(Protocol):
    serving: Serving

    def register(self, endpoint: str, seed: int = 1) -> ModelRef: ...

    def land(self, model: ModelRef, key: str, **settings: Any) -> Deployment:
        """Deploy, and wait until it has landed."""
        ...

    def call(self, endpoint: str, *rows: dict[str, Any]) -> Answered: ...


class LocalStage:
    """The supervisor of the test's module."""

    def __init__(self, supervisor: Any, tools: Any) -> None:
        self._supervisor, self._tools = supervisor, tools
        self.serving: Serving = supervisor.serving

    def register(self, endpoint: str, seed: int = 1) -> ModelRef:
        made: ModelRef = self._tools.make_model(self._supervisor.home, endpoint, seed)
        return made

    def land(self, model: ModelRef, key: str, **settings: Any) -> Deployment:
        landed: Deployment = self._supervisor.deploy(model, key, **settings)
        return landed

    def call(self, endpoint: str, *rows: dict[str, Any]) -> Answered:
        answer = self._tools.post(self.serving.describe(endpoint).url, *rows)
        return Answered(answer.status_code, answer.json())


class AwsStage:
    """SageMaker endpoints of the simulated account."""

    def __init__(self, aws: Aws, objects: Objects) -> None:
        self._aws, self._shelf = aws, Shelf(objects)
        self.serving: Serving = AwsServing(aws, objects, self._shelf)

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


STAGES: dict[str, Callable[[Any], Stage]] = {
    "local": lambda given: LocalStage(given("supervisor"), given("tools")),
    "aws": lambda given: AwsStage(given("aws"), given("objects")),
}
"""Each is given the test's fixtures by name."""
