"""EventBridge's default bus for AWS's own events: rules matched, inputs transformed, targets that have to allow it.

Sources: EventBridge User Guide, "Event patterns" (arrays), "Using resource-based policies for Amazon EventBridge" (queues and topics must
allow events.amazonaws.com), "Troubleshooting Amazon EventBridge" (a queue encrypted with a customer key whose policy doesn't allow EventBridge,
or with the key alias/aws/sqs, gets nothing).
"""

import copy
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import uuid4

from moto.events.models import EventTemplateParser, events_backends

from tests.aws.world import ACCOUNT, REGION, World

_SENDER = "events.amazonaws.com"


def install(world: World) -> None:
    bus = Bus(world)
    world.on_event = bus.put


class Bus:
    """What can't be delivered is dropped, as EventBridge does after its retries; the log of calls says so."""

    def __init__(self, world: World) -> None:
        self._world = world

    def put(self, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str]) -> None:
        event = {
            "version": "0",
            "id": str(uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT,
            "time": self._world.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": list(resources),
            "detail": copy.deepcopy(detail),
        }
        for rule in list(events_backends[ACCOUNT][REGION].event_buses["default"].rules.values()):
            if rule.state != "DISABLED" and rule.event_pattern.matches_event(_spread(event)):
                for target in rule.targets:
                    self._deliver(target, event, rule.arn)

    def _deliver(self, target: Mapping[str, Any], event: dict[str, Any], rule: str) -> None:
        arn, body = str(target["Arn"]), _input(target, event)
        service, name = arn.split(":")[2], arn.rpartition(":")[2]
        try:
            if service == "sqs":
                self._to_queue(name, body, rule)
            elif service == "sns":
                self._to_topic(arn, body, rule)
            else:
                print(f"event not delivered to {arn}: targets of {service} are not simulated", file=sys.stderr, flush=True)
        except Undeliverable as why:
            print(f"event not delivered to {arn}: {why}", file=sys.stderr, flush=True)

    def _to_queue(self, name: str, body: str, rule: str) -> None:
        sqs = self._world.client("sqs")
        url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
        attributes = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"]).get("Attributes", {})
        _check_policy(attributes.get("Policy"), "sqs:sendmessage", rule)
        self._check_key(attributes.get("KmsMasterKeyId"))
        sqs.send_message(QueueUrl=url, MessageBody=body)

    def _to_topic(self, arn: str, body: str, rule: str) -> None:
        sns = self._world.client("sns")
        attributes = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
        _check_policy(attributes.get("Policy"), "sns:publish", rule)
        self._check_key(attributes.get("KmsMasterKeyId"))
        sns.publish(TopicArn=arn, Message=body)

    def _check_key(self, key: str | None) -> None:
        if not key:
            return
        if key.startswith("alias/aws/"):
            raise Undeliverable(f"{key} can't be used by EventBridge; take a key of your own")
        policy = self._world.client("kms").get_key_policy(KeyId=key, PolicyName="default")["Policy"]
        _check_policy(policy, "kms:generatedatakey", "")


class Undeliverable(Exception):
    """Why a target gets nothing."""


def _input(target: Mapping[str, Any], event: dict[str, Any]) -> str:
    if "Input" in target:
        return str(target["Input"])
    if "InputTransformer" in target:
        return json.dumps(
            EventTemplateParser.parse(
                target["InputTransformer"].get("InputTemplate", ""), target["InputTransformer"].get("InputPathsMap", {}), event
            )
        )
    return json.dumps(event)


def _spread(value: Any) -> Any:
    """An array of objects matches where one of its members does: `[{a: 1}, {a: 2}]` is looked at as `{a: [1, 2]}`."""
    if isinstance(value, dict):
        return {key: _spread(inner) for key, inner in value.items()}
    if not (isinstance(value, list) and any(isinstance(inner, dict) for inner in value)):
        return value
    merged: dict[str, Any] = {}
    for inner in (_spread(one) for one in value if isinstance(one, dict)):
        _merge(merged, inner)
    return merged


def _merge(into: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict):
            found = into.setdefault(key, {})
            if isinstance(found, dict):
                _merge(found, value)
        else:
            listed = into.setdefault(key, [])
            if isinstance(listed, list):
                listed.extend(value if isinstance(value, list) else [value])


def _check_policy(text: str | None, action: str, rule: str) -> None:
    """Raises: Undeliverable (nothing there allows EventBridge to do this for that rule)."""
    statements = json.loads(text).get("Statement", []) if text else []
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal", {})
        services = principal.get("Service", []) if isinstance(principal, dict) else []
        actions = [each.lower() for each in _listed(statement.get("Action"))]
        allowed = any(each in (action, f"{action.partition(':')[0]}:*", "*", f"{action}*") for each in actions)
        if statement.get("Effect") == "Allow" and _SENDER in _listed(services) and allowed and _for_rule(statement, rule):
            return
    raise Undeliverable(f"its policy does not allow {_SENDER} {action}")


def _for_rule(statement: Mapping[str, Any], rule: str) -> bool:
    wanted = [
        arn
        for operator, keys in statement.get("Condition", {}).items()
        if operator in ("ArnEquals", "ArnLike", "StringEquals")
        for key, arns in keys.items()
        if key.lower() == "aws:sourcearn"
        for arn in _listed(arns)
    ]
    return not wanted or not rule or rule in wanted


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
