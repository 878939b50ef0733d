"""The way of an alarm through the account, and the alarms that guard deployments, as `doctor` looks at them."""

import json
from collections.abc import Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from contracts.fleet import Fleet
from platforms.aws.calls import Aws
from platforms.checkup import Finding, judged
from platforms.errors import NotFound

_SENDER: Final = "events.amazonaws.com"
_ENDPOINT_TAG: Final = "homeostat:endpoint"
_TEMPLATE: Final = "change it, or deploy deploy/aws/homeostat.yaml"


def alarm_way(aws: Aws, url: str, dead_letter_url: str, most_receives: int) -> Iterator[Finding]:
    """Rule, queue, key, dead letters. Raises: PlatformError."""
    if not url:
        remedy = "set HOMEOSTAT_SQS_QUEUE_URL; or post alarms to the bridge, which needs no queue"
        yield Finding("queue", ok=True, found="none is configured: alarms come over HTTP only", remedy=remedy)
        return
    found = aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["All"])["Attributes"]
    arn, wrong = str(found["QueueArn"]), []
    if not _allows(found.get("Policy"), "sqs:sendmessage"):
        wrong.append(f"its policy lets {_SENDER} send nothing: alarms are dropped")
    limit = int(json.loads(found.get("RedrivePolicy", "{}")).get("maxReceiveCount", 0))
    if limit and limit <= most_receives:
        wrong.append(
            f"SQS gives up on a message after {limit} receives, the bridge after {most_receives}: the reason would be lost"
        )
    yield judged("queue", f"{arn}: {found['ApproximateNumberOfMessages']} messages wait", wrong, _TEMPLATE)
    yield _key(aws, found.get("KmsMasterKeyId"))
    yield _dead_letters(aws, dead_letter_url)
    yield _rules(aws, arn)


def _key(aws: Aws, key: str | None) -> Finding:
    if not key:
        return Finding("queue's key", ok=True, found="SQS's own encryption")
    if "alias/aws/" in key:
        remedy = "take a key of your own, with a policy that lets EventBridge use it, or SQS's own encryption"
        return Finding("queue's key", ok=False, found=f"{key} can't be used by EventBridge: alarms are dropped", remedy=remedy)
    policy = aws.call("kms", "get_key_policy", KeyId=key, PolicyName="default")["Policy"]
    wrong = [] if _allows(policy, "kms:generatedatakey") else [f"{key} doesn't let {_SENDER} use it: alarms are dropped"]
    return judged("queue's key", key, wrong, _TEMPLATE)


def _dead_letters(aws: Aws, url: str) -> Finding:
    if not url:
        remedy = "set HOMEOSTAT_SQS_DEAD_LETTER_URL"
        return Finding(
            "dead letters", ok=False, found="no dead-letter queue: what can't be read stays in the queue", remedy=remedy
        )
    waiting = int(
        aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])["Attributes"][
            "ApproximateNumberOfMessages"
        ]
    )
    wrong = [f"{waiting} messages could not be taken"] if waiting else []
    return judged("dead letters", "none", wrong, "see why with `python -m bridge redrive --dry-run`, then bring them back")


def _rules(aws: Aws, arn: str) -> Finding:
    names = [name for page in aws.pages("events", "list_rule_names_by_target", TargetArn=arn) for name in page["RuleNames"]]
    rules = [aws.call("events", "describe_rule", Name=name) for name in names]
    enabled = [rule["Name"] for rule in rules if rule["State"] == "ENABLED"]
    alarms = [rule["Name"] for rule in rules if rule["Name"] in enabled and "aws.cloudwatch" in rule.get("EventPattern", "")]
    wrong = [f"{rule['Name']} is disabled" for rule in rules if rule["Name"] not in enabled]
    if not alarms:
        wrong.append("no rule of EventBridge brings CloudWatch's alarms to the queue")
    return judged("rules", ", ".join(sorted(enabled)), wrong, _TEMPLATE)


def guard_alarms(aws: Aws, fleet: Fleet | None) -> Iterator[Finding]:
    """Alarms that take a deployment back: there, quiet, and not those that call for one. Raises: PlatformError."""
    for name, policy in fleet.endpoints.items() if fleet else ():
        wanted = policy.serving.shift.alarms
        if not wanted:
            yield Finding(f"guard alarms of {name}", ok=True, found="none is declared: a bad deployment is found by the bake")
            continue
        kinds = ["MetricAlarm", "CompositeAlarm"]
        answer = aws.call("cloudwatch", "describe_alarms", AlarmNames=list(wanted), AlarmTypes=kinds)
        there = {alarm["AlarmName"]: alarm for alarm in [*answer.get("MetricAlarms", ()), *answer.get("CompositeAlarms", ())]}
        wrong = [*_missing(wanted, there), *_firing(there), *_calling(aws, name, there, policy.intake.alarms)]
        remedy = "guard with alarms of errors and latency that no incident begins with, and mend what they tell of"
        yield judged(f"guard alarms of {name}", ", ".join(wanted), wrong, remedy)


def _missing(wanted: Sequence[str], there: Mapping[str, Any]) -> list[str]:
    return [f"there is no alarm {name}" for name in wanted if name not in there]


def _firing(there: Mapping[str, Any]) -> list[str]:
    return [
        f"{name} is in ALARM: it guards no deployment until it is OK" for name, a in there.items() if a["StateValue"] == "ALARM"
    ]


def _calling(aws: Aws, endpoint: str, there: Mapping[str, Any], patterns: Sequence[str]) -> list[str]:
    """One that opens incidents is in ALARM whenever a model is deployed because of it."""
    found = []
    for name, alarm in there.items():
        by_name = any(fnmatchcase(name, pattern) for pattern in patterns)
        if by_name or _tags(aws, alarm["AlarmArn"]).get(_ENDPOINT_TAG) == endpoint:
            found.append(f"{name} opens incidents itself, so it is in ALARM when its deployment begins")
    return found


def _tags(aws: Aws, arn: str) -> dict[str, str]:
    try:
        listed = aws.call("cloudwatch", "list_tags_for_resource", ResourceARN=arn)["Tags"]
    except NotFound:
        return {}
    return {tag["Key"]: tag["Value"] for tag in listed}


def _allows(text: str | None, action: str) -> bool:
    """Whether a policy lets EventBridge do this."""
    statements = json.loads(text).get("Statement", []) if text else []
    for each in statements if isinstance(statements, list) else [statements]:
        principal = each.get("Principal", {})
        services = _listed(principal.get("Service", []) if isinstance(principal, dict) else principal)
        actions = {one.lower().rstrip("*") for one in _listed(each.get("Action", []))}
        sends = any(action.startswith(one) for one in actions)
        if each.get("Effect") == "Allow" and sends and ({_SENDER, "*"} & set(services)):
            return True
    return False


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - policies write one, or a list
    return value if isinstance(value, list) else [value]
