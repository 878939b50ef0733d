"""The SageMaker model and the endpoint configuration of a deployment: named for what they are made of, kept for a way back."""

from contextlib import suppress
from hashlib import sha256
from typing import Any, Final

from contracts.rollout import DeployModel
from contracts.training import ModelCard
from platforms.aws.calls import Aws
from platforms.aws.container.layout import THRESHOLD
from platforms.aws.deployment_log import Applied, Wish
from platforms.aws.names import name_of
from platforms.aws.objects import Objects
from platforms.aws.packaging import Package
from platforms.errors import Conflict, NotFound

DIGEST: Final = "HOMEOSTAT_DIGEST"
"""Environment variable of a model: the digest of its artifact."""
_FORMER: Final = 2
"""Kept beside what is in service: what a rollback goes back to, and one before."""
_LOOKED_BACK: Final = 10
"""Deployments; what came before them was tidied up after them."""


class EndpointParts:
    def __init__(self, aws: Aws, objects: Objects, package: Package) -> None:
        self._aws = aws
        self._objects = objects
        self._package = package

    def planned(self, request: DeployModel, before: Wish | None) -> Applied:
        """The configuration that this deployment needs: one of the same recipe that is still there, or a new one.

        Raises: Invalid (no image), Unavailable.
        """
        serving, model = request.serving, request.model
        container = (self._package.uri(), self._package.image("inference", serving.instance_type))
        made_of = (model.digest, str(serving.threshold), *container)
        around = (serving.instance_type, *map(str, self._capture(model.endpoint).items()))
        recipe = sha256("\n".join((*made_of, *around)).encode()).hexdigest()
        name = name_of(self._prefix, model.endpoint, "model", "\n".join(made_of))
        alike = before.alike(recipe) if before else None
        if alike is not None and self._there(alike.config):
            config = alike.config
        else:
            config = name_of(self._prefix, model.endpoint, "config", request.key)
        return Applied(key=request.key, digest=model.digest, config=config, recipe=recipe, model=name)

    def make(self, applied: Applied, request: DeployModel, card: ModelCard, wish: Wish, count: int) -> None:
        """Model and configuration; what is there already was made by an earlier attempt, since the names say what they hold."""
        if self._there(applied.config):
            return
        tags = [{"Key": f"homeostat:{k}", "Value": v[:256]} for k, v in (("endpoint", wish.endpoint), ("key", request.key))]
        environment = {DIGEST: applied.digest, THRESHOLD: str(request.serving.threshold)}
        with suppress(Conflict):
            self._aws.call(
                "sagemaker",
                "create_model",
                ModelName=applied.model,
                PrimaryContainer=self._package.container(card.artifact_uri, **environment),
                ExecutionRoleArn=self._aws.settings.role,
                Tags=tags,
            )
        variant = {
            "VariantName": wish.variant,
            "ModelName": applied.model,
            "InstanceType": request.serving.instance_type,
            "InitialInstanceCount": count,
            "InitialVariantWeight": 1.0,
        }
        with suppress(Conflict):
            self._aws.call(
                "sagemaker",
                "create_endpoint_config",
                EndpointConfigName=applied.config,
                ProductionVariants=[variant],
                DataCaptureConfig=self._capture(wish.endpoint),
                Tags=tags,
            )

    def forget(self, wish: Wish, live: str) -> None:
        """Remove configurations of ours that no rollback goes to, and their models. Only once no deployment runs."""
        before = [config for config in wish.served if config != live][-_FORMER:]
        configs = {live, *before}
        models = {known.model for known in map(wish.known, configs) if known is not None}
        for each in wish.applied[-_LOOKED_BACK:]:
            if each.config not in configs:
                configs.add(each.config)
                with suppress(NotFound):
                    self._aws.call("sagemaker", "delete_endpoint_config", EndpointConfigName=each.config)
            if each.model not in models:
                models.add(each.model)
                with suppress(NotFound):
                    self._aws.call("sagemaker", "delete_model", ModelName=each.model)

    @property
    def _prefix(self) -> str:
        return self._aws.settings.prefix

    def _there(self, config: str) -> bool:
        try:
            self._aws.call("sagemaker", "describe_endpoint_config", EndpointConfigName=config)
        except NotFound:
            return False
        return True

    def _capture(self, endpoint: str) -> dict[str, Any]:
        """Everything that is asked and answered, for replay."""
        key = {"KmsKeyId": self._aws.settings.kms_key} if self._aws.settings.kms_key else {}
        return {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": self._objects.uri(f"capture/{endpoint}"),
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"JsonContentTypes": ["application/json"]},
            **key,
        }
