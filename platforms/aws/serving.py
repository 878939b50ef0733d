"""Serving on SageMaker: one endpoint, one variant, and another configuration for each model."""

from datetime import UTC, datetime

from contracts.rollout import BakeReport, CheckBake, Deployment, DeployModel
from platforms.aws.calls import Aws
from platforms.aws.deployment_log import Applied, DeploymentLog, Kept, Wish
from platforms.aws.endpoint_health import EndpointHealth
from platforms.aws.endpoint_parts import EndpointParts
from platforms.aws.guardrails import Alarms, deployment_config
from platforms.aws.live_endpoint import LiveEndpoint, read
from platforms.aws.names import MOST
from platforms.aws.objects import Objects
from platforms.aws.packaging import Package
from platforms.aws.scaling import AwsScaling
from platforms.errors import Conflict, Invalid, NotFound, PlatformError, Unavailable
from platforms.ports import ModelRegistry

_VARIANT = "AllTraffic"
_REMEMBERED = 10


class AwsServing:
    """The `Serving` port over UpdateEndpoint with its guardrails."""

    def __init__(self, aws: Aws, objects: Objects, registry: ModelRegistry, package: Package | None = None) -> None:
        self._aws = aws
        self._registry = registry
        self._log = DeploymentLog(objects)
        self._parts = EndpointParts(aws, objects, package or Package(aws, objects))
        self._alarms = Alarms(aws)
        self._scaling = AwsScaling(aws)
        self._health = EndpointHealth(aws)

    def deploy(self, request: DeployModel) -> Deployment:
        """Ask for the model; a key that was asked for before is carried out, or taken over, and never asked for twice.

        Raises: NotFound, Conflict (the key asked for another model), Invalid, Exhausted, Unavailable (another deployment runs).
        """
        endpoint = request.model.endpoint
        kept = self._log.newest(endpoint)
        asked = kept.wish.asked(request.key) if kept else None
        if asked is not None and asked.digest != request.model.digest:
            raise Conflict(
                f"key {request.key} deployed model {asked.digest[:12]} before, now asks for {request.model.digest[:12]}: "
                "use a new key for a new deployment"
            )
        if kept is None or asked is None:
            kept = self._wished(request, kept.wish if kept else None)
        if kept.wish.key == request.key:
            self._carry_out(kept, request)
        return self.describe(endpoint)

    def describe(self, endpoint: str) -> Deployment:
        """What SageMaker runs, beside what was asked.

        Once that has landed, what follows a deployment is done by whoever looks first: scaling holds its bounds again, and
        configurations that no rollback goes to are removed. Where that fails it is noted, and done at the next look.

        Raises: NotFound (nothing was ever deployed), Unavailable.
        """
        kept = self._log.newest(endpoint)
        if kept is None:
            raise NotFound(f"nothing was ever deployed to endpoint {endpoint}: deploy a registered model first")
        live = read(self._aws, self._name(endpoint))
        if live is None:
            if kept.started:
                raise NotFound(f"endpoint {self._name(endpoint)} is gone from SageMaker: deploy to it with a new key")
            return Deployment(endpoint=endpoint, wanted=kept.wish.digest, url=self._url(endpoint))
        landed = live.config == kept.wish.config and live.serving
        notes = self._settle(kept.wish, live) if landed and not kept.settled else ()
        return self._deployment(kept, live, landed=landed, notes=notes)

    def health(self, request: CheckBake) -> BakeReport:
        """Calls and server errors of the model's own configuration since `since`, and whether the alarms are quiet.

        CloudWatch counts by the minute and is a minute or two behind. Raises: NotFound, Unavailable.
        """
        deployment = self.describe(request.endpoint)
        kept = self._log.newest(request.endpoint)
        assert kept is not None  # `describe` has read it
        wish = kept.wish
        report = self._health.since(request, self._name(request.endpoint), wish.variant, wish.config)
        trouble = self._trouble(request, deployment, wish)
        return report if trouble is None else report.model_copy(update={"healthy": False, "sentence": trouble})

    # ---- asking

    def _wished(self, request: DeployModel, before: Wish | None) -> Kept:
        """Write down what is wanted, with all that has to be true again afterwards. Raises: as `deploy`."""
        self._registry.get(request.model)
        endpoint = request.model.endpoint
        live = read(self._aws, self._name(endpoint))
        if live is not None:
            _free(live)
        armed, notes = ((), ()) if request.urgent or live is None else self._alarms.armed(request.serving.shift.alarms)
        applied = self._parts.planned(request, before)
        variant = live.variant if live else _VARIANT
        bounds = self._scaling.bounds(live.name, variant) if live else None
        wish = Wish(
            endpoint=endpoint,
            revision=before.revision + 1 if before else 1,
            at=datetime.now(UTC),
            key=request.key,
            digest=request.model.digest,
            config=_config(applied, before, live),
            variant=variant,
            modified=live.modified if live else None,
            reason=live.reason if live else "",
            alarms=armed,
            notes=notes,
            bounds=bounds,
            applied=(*(before.applied if before else ()), applied),
            served=_served(before, live),
        )
        if not self._log.write(wish):
            return self._met(request)
        return Kept(wish, frozenset())

    def _met(self, request: DeployModel) -> Kept:
        """Somebody wrote this revision first: this very request, whose answer was lost, or another. Raises: Unavailable."""
        kept = self._log.newest(request.model.endpoint)
        if kept is None or kept.wish.asked(request.key) is None:
            raise Unavailable(f"another deployment of {request.model.endpoint} has just been asked for: wait for its end")
        return kept

    def _carry_out(self, kept: Kept, request: DeployModel) -> None:
        """From wherever an earlier attempt stopped. Raises: as `deploy`."""
        wish = kept.wish
        live = read(self._aws, self._name(wish.endpoint))
        if kept.started or (live is not None and wish.config in {live.config, live.pending}):
            if not kept.started:
                self._log.mark(wish, "started")
            return
        if live is None:
            self._launch(wish, request)
        elif live.reason and live.reason != wish.reason and live.modified != wish.modified and not live.busy:
            self._log.mark(wish, "started")  # an attempt whose worker died asked for it, and SageMaker has gone back since
            return
        else:
            self._update(wish, request, live)
        self._log.mark(wish, "started")

    def _launch(self, wish: Wish, request: DeployModel) -> None:
        self._make(wish, request, request.serving.instances)
        tags = [{"Key": "homeostat:endpoint", "Value": wish.endpoint}]
        name = self._name(wish.endpoint)
        try:
            self._aws.call("sagemaker", "create_endpoint", EndpointName=name, EndpointConfigName=wish.config, Tags=tags)
        except Conflict:
            live = read(self._aws, name)
            if live is None or live.config != wish.config:
                raise Unavailable(f"endpoint {name} was created by somebody else meanwhile: look again") from None

    def _update(self, wish: Wish, request: DeployModel, live: LiveEndpoint) -> None:
        _free(live)
        most = wish.bounds.most if wish.bounds else request.serving.instances
        count = max(live.desired, min(request.serving.instances, most))
        self._make(wish, request, count)
        self._same_machine(wish, request, live)
        excluded = ["DataCaptureConfig", *(["DesiredInstanceCount"] if count > live.desired else [])]
        self._aws.call(
            "sagemaker",
            "update_endpoint",
            EndpointName=live.name,
            EndpointConfigName=wish.config,
            RetainAllVariantProperties=True,
            ExcludeRetainedVariantProperties=[{"VariantPropertyType": each} for each in excluded],
            DeploymentConfig=deployment_config(request.serving.shift, wish.alarms, urgent=request.urgent),
        )

    def _make(self, wish: Wish, request: DeployModel, count: int) -> None:
        if not self._aws.settings.role:
            raise Invalid("no role is configured: set HOMEOSTAT_AWS_ROLE to the one that endpoints run under")
        applied = wish.asked(request.key)
        assert applied is not None  # the wish is this request's own
        self._parts.make(applied, request, self._registry.get(request.model), wish, count)

    def _same_machine(self, wish: Wish, request: DeployModel, live: LiveEndpoint) -> None:
        """Raises: Invalid. A scaled variant can't change its instance type, and its target is not ours to take away."""
        if wish.bounds is None:
            return
        answer = self._aws.call("sagemaker", "describe_endpoint_config", EndpointConfigName=live.config)
        kinds = {str(each.get("InstanceType")) for each in answer["ProductionVariants"]}
        if kinds != {request.serving.instance_type}:
            raise Invalid(
                f"endpoint {live.name} runs on {', '.join(kinds)} and is scaled, so it can't go to "
                f"{request.serving.instance_type}: deregister its scalable target first, and register it again afterwards"
            )

    # ---- telling

    def _settle(self, wish: Wish, live: LiveEndpoint) -> tuple[str, ...]:
        try:
            if wish.bounds is not None:
                self._scaling.hold(live.name, wish.variant, wish.bounds)
            self._parts.forget(wish, live.config)
            self._log.mark(wish, "settled")
        except PlatformError as error:
            return (f"the model serves, what follows is not done yet: {error}",)
        return ()

    def _deployment(self, kept: Kept, live: LiveEndpoint, *, landed: bool, notes: tuple[str, ...]) -> Deployment:
        wish = kept.wish
        digests = {}
        for config, count in live.instances().items():
            known = wish.known(config)
            digests[known.digest if known else config] = count
        troubles: tuple[str, ...] = ()
        if landed and wish.bounds is not None:
            troubles = self._scaling.troubles(live.name, wish.variant, wish.at)
        total = max(1, live.current + live.arriving)
        return Deployment(
            endpoint=wish.endpoint,
            wanted=wish.digest,
            url=self._url(wish.endpoint),
            instances=live.current if landed else total,
            ready=live.current if landed else min(live.arriving, total - 1),
            digests={digest: count for digest, count in digests.items() if count},
            failure=self._failure(kept, live),
            notes=(*wish.notes, *notes, *troubles),
        )

    def _failure(self, kept: Kept, live: LiveEndpoint) -> str | None:
        """Why what was asked will not come, or None while it may."""
        reason = live.reason or "SageMaker gives no reason"
        if live.status == "Failed":
            return f"the endpoint has failed: {reason}. AWS lets it only be deleted: do that, and deploy with a new key"
        if live.status == "UpdateRollbackFailed":
            return f"SageMaker could neither finish nor go back, both models serve: {reason}"
        if not kept.started or live.busy or live.config == kept.wish.config or live.modified == kept.wish.modified:
            return None
        ringing = self._alarms.ringing(kept.wish.alarms)
        named = f"; in ALARM now: {', '.join(ringing)}" if ringing else ""
        return f"SageMaker went back to the former model: {reason}{named}"

    def _trouble(self, request: CheckBake, deployment: Deployment, wish: Wish) -> str | None:
        if deployment.wanted != request.digest:
            return f"Endpoint {request.endpoint} is meant to serve another model than {request.digest[:12]} by now."
        if deployment.failure:
            return f"The endpoint is in trouble: {deployment.failure}"
        if ringing := self._alarms.ringing(wish.alarms):
            return f"Alarms of the endpoint are in ALARM: {', '.join(ringing)}."
        return None

    def _name(self, endpoint: str) -> str:
        """Raises: Invalid (too long for SageMaker)."""
        name = f"{self._aws.settings.endpoint_prefix}{endpoint}"
        if len(name) > MOST:
            raise Invalid(f"endpoint name {name} has more than {MOST} characters: shorten it or HOMEOSTAT_AWS_ENDPOINT_PREFIX")
        return name

    def _url(self, endpoint: str) -> str:
        return f"{self._aws.address('sagemaker-runtime')}/endpoints/{self._name(endpoint)}/invocations"


def _config(applied: Applied, before: Wish | None, live: LiveEndpoint | None) -> str:
    """The configuration in service, if it is of this recipe already: then there is nothing to do."""
    known = before.known(live.config) if before and live else None
    return known.config if known is not None and known.recipe == applied.recipe else applied.config


def _served(before: Wish | None, live: LiveEndpoint | None) -> tuple[str, ...]:
    earlier = before.served if before else ()
    now = (live.config,) if live else ()
    return (*(config for config in earlier if config not in now), *now)[-_REMEMBERED:]


def _free(live: LiveEndpoint) -> None:
    """Raises: Unavailable (it has to end first what it does), Invalid (it can only be deleted)."""
    if live.status == "Failed":
        raise Invalid(f"endpoint {live.name} has failed ({live.reason}): AWS lets it only be deleted; do that, and ask again")
    if live.busy:
        what = f"a deployment to {live.pending}" if live.pending else f"its state {live.status}"
        raise Unavailable(f"endpoint {live.name} can't be updated now: {what} has to end first")
