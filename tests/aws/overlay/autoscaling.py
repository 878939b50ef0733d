"""Application Auto Scaling of SageMaker variants: its calls. What they set in motion is in scaling_engine.py.

Sources: Application Auto Scaling APIReference RegisterScalableTarget, DeregisterScalableTarget ("deletes the scaling policies and
scheduled actions that are associated with it"), PutScalingPolicy, PutScheduledAction, DescribeScalingActivities, NotScaledReason.
"""

from dataclasses import replace
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from tests.aws.calls import Refusal
from tests.aws.overlay.fleets import Params
from tests.aws.overlay.hosting import hosting
from tests.aws.overlay.scaling_engine import Engine, Policy, Scheduled, Target
from tests.aws.overlay.schedules import next_firing
from tests.aws.world import ACCOUNT, REGION, World

DIMENSION: Final = "sagemaker:variant:DesiredInstanceCount"


def install(world: World) -> None:
    engine = Engine(world)
    answers = {
        "RegisterScalableTarget": _register,
        "DescribeScalableTargets": _targets,
        "DeregisterScalableTarget": _deregister,
        "PutScalingPolicy": _put_policy,
        "DescribeScalingPolicies": _policies,
        "DeleteScalingPolicy": _delete_policy,
        "PutScheduledAction": _put_scheduled,
        "DescribeScheduledActions": _scheduled,
        "DeleteScheduledAction": _delete_scheduled,
        "DescribeScalingActivities": _activities,
    }
    for name, answer in answers.items():
        world.operation("application-autoscaling", name)(lambda call, answer=answer: answer(engine, call.params))


def _register(engine: Engine, asked: Params) -> Params:
    endpoint, variant = _place(asked)
    before = engine.targets.get(asked["ResourceId"])
    least = asked.get("MinCapacity", before.least if before else None)
    most = asked.get("MaxCapacity", before.most if before else None)
    if least is None or most is None:
        raise _invalid("A minimum and a maximum capacity are required to register a scalable target")
    if least > most:
        raise _invalid("Maximum capacity cannot be less than minimum capacity")
    suspended = asked.get("SuspendedState") or (before.suspended if before else {})
    target = Target(asked["ResourceId"], endpoint, variant, least, most, suspended, before.created if before else engine.now())
    with engine.lock:
        engine.targets[target.resource] = target
    engine.keep_within(target, f"capacity was set to at least {least} and at most {most}")
    return {"ScalableTargetARN": _arn("scalable-target", target.resource)}


def _place(asked: Params) -> tuple[str, str]:
    if asked.get("ServiceNamespace") != "sagemaker" or asked.get("ScalableDimension", DIMENSION) != DIMENSION:
        raise Refusal("NotSimulated", "only variants of SageMaker endpoints are scaled here", 501)
    try:
        _, endpoint, _, variant = asked["ResourceId"].split("/")
    except ValueError:
        raise _invalid("Unsupported service namespace, resource type or scalable dimension") from None
    found = hosting().endpoints.get(endpoint)
    if found is None or variant not in {each.name for each in found.live.variants}:
        raise _invalid(f"Could not find variant {variant} of endpoint {endpoint}")
    return endpoint, variant


def _targets(engine: Engine, asked: Params) -> Params:
    wanted = asked.get("ResourceIds") or list(engine.targets)
    return {
        "ScalableTargets": [
            {
                **_named(target.resource),
                "MinCapacity": target.least,
                "MaxCapacity": target.most,
                "RoleARN": f"arn:aws:iam::{ACCOUNT}:role/aws-service-role/sagemaker.application-autoscaling.amazonaws.com/role",
                "CreationTime": target.created,
                "SuspendedState": target.suspended
                or dict.fromkeys(("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), False),
            }
            for target in engine.targets.values()
            if target.resource in wanted
        ]
    }


def _deregister(engine: Engine, asked: Params) -> None:
    _known(engine, asked)
    with engine.lock:
        del engine.targets[asked["ResourceId"]]
        engine.policies = [each for each in engine.policies if each.resource != asked["ResourceId"]]
        engine.scheduled = [each for each in engine.scheduled if each.resource != asked["ResourceId"]]


def _known(engine: Engine, asked: Params) -> Target:
    target = engine.targets.get(asked["ResourceId"])
    if target is None:
        raise Refusal(
            "ObjectNotFoundException",
            f"No scalable target registered for service namespace: sagemaker, resource ID: {asked['ResourceId']}, "
            f"scalable dimension: {DIMENSION}",
        )
    return target


def _put_policy(engine: Engine, asked: Params) -> Params:
    _known(engine, asked)
    before = next((p for p in engine.policies if (p.name, p.resource) == (asked["PolicyName"], asked["ResourceId"])), None)
    kind = asked.get("PolicyType") or (before.kind if before else "StepScaling")
    how = asked.get("TargetTrackingScalingPolicyConfiguration") or asked.get("StepScalingPolicyConfiguration")
    if how is None:
        raise _invalid("A scaling policy needs its configuration")
    if kind == "StepScaling" and len(how.get("StepAdjustments") or []) != 1:
        raise Refusal("NotSimulated", "step policies are simulated with exactly one step", 501)
    where = f"resource/sagemaker/{asked['ResourceId']}:policyName/{asked['PolicyName']}"
    arn = f"arn:aws:autoscaling:{REGION}:{ACCOUNT}:scalingPolicy:{uuid5(NAMESPACE_URL, where)}:{where}"
    policy = Policy(asked["PolicyName"], asked["ResourceId"], kind, how, engine.now(), arn)
    with engine.lock:
        engine.policies = [p for p in engine.policies if (p.name, p.resource) != (policy.name, policy.resource)] + [policy]
    return {"PolicyARN": policy.arn, "Alarms": []}


def _policies(engine: Engine, asked: Params) -> Params:
    return {
        "ScalingPolicies": [
            {
                **_named(policy.resource),
                "PolicyARN": policy.arn,
                "PolicyName": policy.name,
                "PolicyType": policy.kind,
                f"{policy.kind}PolicyConfiguration": policy.how,
                "CreationTime": policy.created,
            }
            for policy in engine.policies
            if asked.get("ResourceId", policy.resource) == policy.resource
        ]
    }


def _delete_policy(engine: Engine, asked: Params) -> None:
    kept = [p for p in engine.policies if (p.name, p.resource) != (asked["PolicyName"], asked["ResourceId"])]
    if len(kept) == len(engine.policies):
        raise Refusal("ObjectNotFoundException", f"No scaling policy found for {asked['ResourceId']}: {asked['PolicyName']}")
    engine.policies = kept


def _put_scheduled(engine: Engine, asked: Params) -> None:
    target = _known(engine, asked)
    action = asked.get("ScalableTargetAction") or {}
    least, most = action.get("MinCapacity", target.least), action.get("MaxCapacity", target.most)
    if "MinCapacity" in action and "MaxCapacity" in action and least > most:
        raise _invalid("Maximum capacity cannot be less than minimum capacity")
    zone = asked.get("Timezone", "UTC")
    try:
        due = next_firing(asked["Schedule"], engine.now(), zone)
    except ValueError as error:
        raise _invalid(str(error)) from None
    made = Scheduled(asked["ScheduledActionName"], asked["ResourceId"], asked["Schedule"], zone, action, due, engine.now())
    with engine.lock:
        engine.scheduled = [s for s in engine.scheduled if (s.name, s.resource) != (made.name, made.resource)] + [made]


def _scheduled(engine: Engine, asked: Params) -> Params:
    return {
        "ScheduledActions": [
            {
                **_named(each.resource),
                "ScheduledActionName": each.name,
                "ScheduledActionARN": _arn("scheduledAction", each.resource, each.name),
                "Schedule": each.schedule,
                "Timezone": each.zone,
                "ScalableTargetAction": each.action,
                "CreationTime": each.created,
            }
            for each in engine.scheduled
            if asked.get("ResourceId", each.resource) == each.resource
            and each.name in (asked.get("ScheduledActionNames") or [each.name])
        ]
    }


def _delete_scheduled(engine: Engine, asked: Params) -> None:
    kept = [s for s in engine.scheduled if (s.name, s.resource) != (asked["ScheduledActionName"], asked["ResourceId"])]
    if len(kept) == len(engine.scheduled):
        raise Refusal("ObjectNotFoundException", f"No scheduled action found for {asked['ResourceId']}")
    engine.scheduled = kept


def _activities(engine: Engine, asked: Params) -> Params:
    """The newest first, those of six weeks; what was not scaled only if asked for."""
    found = [
        replace(each)
        for each in reversed(engine.activities)
        if asked.get("ResourceId", each.resource) == each.resource
        and (asked.get("IncludeNotScaledActivities") or not each.not_scaled)
    ]
    start, size = int(asked.get("NextToken") or 0), int(asked.get("MaxResults") or 50)
    more = {"NextToken": str(start + size)} if start + size < len(found) else {}
    return {"ScalingActivities": [_told(each) for each in found[start : start + size]], **more}


def _told(each: Any) -> Params:
    return {
        **_named(each.resource),
        "ActivityId": each.identity,
        "Description": each.description,
        "Cause": each.cause,
        "StartTime": each.start,
        "StatusCode": each.status,
        "StatusMessage": each.message,
        **({"EndTime": each.end} if each.end else {}),
        **({"NotScaledReasons": each.not_scaled} if each.not_scaled else {}),
    }


def _named(resource: str) -> Params:
    return {"ServiceNamespace": "sagemaker", "ResourceId": resource, "ScalableDimension": DIMENSION}


def _arn(kind: str, *parts: str) -> str:
    return f"arn:aws:application-autoscaling:{REGION}:{ACCOUNT}:{kind}/{'/'.join(parts)}"


def _invalid(message: str) -> Refusal:
    return Refusal("ValidationException", message)
