"""Statements with a condition: moto denies where the condition is not met, AWS then leaves the statement out.

The simulator stands for HTTPS, so `aws:SecureTransport` is true. Conditions on anything else are moto's business, which denies.
Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html ("a request that doesn't meet the
statement's conditions is not affected by it") and
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html#condition-keys-securetransport.
"""

from typing import Any

from moto.iam.access_control import IAMPolicyStatement, PermissionResult

from tests.aws.world import World

_KNOWN = {"aws:SecureTransport": "true"}


def install(_world: World) -> None:
    judge = IAMPolicyStatement.is_action_permitted

    def is_action_permitted(self: Any, *args: Any, **named: Any) -> PermissionResult:
        conditions = self._statement.get("Condition") or {}
        if conditions.keys() != {"Bool"} or conditions["Bool"].keys() != _KNOWN.keys():
            return judge(self, *args, **named)
        if any(str(wanted).lower() != _KNOWN[key] for key, wanted in conditions["Bool"].items()):
            return PermissionResult.NEUTRAL
        bare = {name: value for name, value in self._statement.items() if name != "Condition"}
        return judge(IAMPolicyStatement(bare), *args, **named)

    IAMPolicyStatement.is_action_permitted = is_action_permitted
