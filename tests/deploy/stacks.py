"""The template of deploy/aws, deployed."""

import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from platforms.aws.calls import Aws
from tests.aws.rights import TEMPLATE


@dataclass
class Stack:
    """What it made."""

    aws: Aws
    prefix: str
    outputs: dict[str, str]

    @property
    def boundary_name(self) -> str:
        return f"{self.prefix}-boundary-{self.aws.region}"

    def role(self, what: str) -> dict[str, Any]:
        found: dict[str, Any] = self.aws.call("iam", "get_role", RoleName=f"{self.prefix}-{what}-{self.aws.region}")["Role"]
        return found

    def actions(self, what: str) -> set[str]:
        name = f"{self.prefix}-{what}-{self.aws.region}"
        policies = self.aws.call("iam", "list_role_policies", RoleName=name)["PolicyNames"]
        found = [self.aws.call("iam", "get_role_policy", RoleName=name, PolicyName=policy) for policy in policies]
        return {action for one in found for action in _actions(one["PolicyDocument"], "Allow")}

    def boundary(self) -> tuple[set[str], set[str]]:
        """Allowed patterns, and what is denied."""
        arn = f"arn:aws:iam::123456789012:policy/{self.boundary_name}"
        version = self.aws.call("iam", "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
        document = self.aws.call("iam", "get_policy_version", PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"]
        return _actions(document, "Allow"), _actions(document, "Deny")


def deployed(aws: Aws, **parameters: str) -> Stack:
    """Under the prefix of this test."""
    prefix = aws.settings.prefix
    given = {"Prefix": prefix, "AlarmNamePrefix": f"{prefix}-", **parameters}
    listed = [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]
    template = TEMPLATE.read_text()
    aws.call(
        "cloudformation",
        "create_stack",
        StackName=prefix,
        TemplateBody=template,
        Parameters=listed,
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    (found,) = aws.call("cloudformation", "describe_stacks", StackName=prefix)["Stacks"]
    assert found["StackStatus"] == "CREATE_COMPLETE", found
    return Stack(aws, prefix, {each["OutputKey"]: each["OutputValue"] for each in found["Outputs"]})


def _actions(document: Any, effect: str) -> set[str]:
    parsed = json.loads(unquote(document)) if isinstance(document, str) else document
    listed = [each["Action"] for each in parsed["Statement"] if each["Effect"] == effect]
    return {action for actions in listed for action in (actions if isinstance(actions, list) else [actions])}
