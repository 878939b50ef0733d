"""What an account tells of itself: quotas, what a role may, Athena's workgroup.

Sources: Service Quotas API Reference ListServiceQuotas; IAM API Reference SimulatePrincipalPolicy (a statement of other resources doesn't
allow, the boundary has to allow too; conditions are not looked at here); Athena API Reference GetWorkGroup (every account has `primary`).
"""

import json
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote

from tests.aws.calls import Call, Refusal
from tests.aws.world import ACCOUNT, World

QUOTAS = {
    "ml.m5.large for endpoint usage": 8.0,
    "ml.m5.xlarge for training job usage": 4.0,
    "ml.m5.2xlarge for training job usage": 4.0,
    "ml.p4d.24xlarge for training job usage": 0.0,
}
"""A new account has no large machines."""
_SESSION = f"arn:aws:sts::{ACCOUNT}:assumed-role/"


def install(world: World) -> None:
    @world.operation("service-quotas", "ListServiceQuotas")
    def list_service_quotas(call: Call) -> dict[str, Any]:
        if call.params["ServiceCode"] != "sagemaker":
            raise Refusal("NotSimulated", "only SageMaker's quotas are simulated", 501)
        return {"Quotas": [{"ServiceCode": "sagemaker", "QuotaName": name, "Value": value} for name, value in QUOTAS.items()]}

    @world.operation("iam", "SimulatePrincipalPolicy")
    def simulate_principal_policy(call: Call) -> dict[str, Any]:
        role = call.params["PolicySourceArn"].rpartition("/")[2]
        resources = call.params.get("ResourceArns") or ["*"]
        given = {each["ContextKeyName"]: each["ContextKeyValues"] for each in call.params.get("ContextEntries") or ()}
        own, boundary = ([each for each in some or () if _met(each, given)] for some in _documents(world, role))
        results = [
            {"EvalActionName": action, "EvalResourceName": resource, "EvalDecision": _decision(own, boundary, action, resource)}
            for action in call.params["ActionNames"]
            for resource in resources
        ]
        return {"EvaluationResults": results, "IsTruncated": False}

    @world.operation("athena", "GetWorkGroup")
    def get_work_group(call: Call) -> dict[str, Any]:
        if call.params["WorkGroup"] != "primary":
            raise Refusal("InvalidRequestException", f"WorkGroup {call.params['WorkGroup']} is not found.")
        return {"WorkGroup": {"Name": "primary", "State": "ENABLED"}}


def _documents(world: World, role: str) -> tuple[list[Any], list[Any] | None]:
    """Statements of the role, and of its boundary if it has one."""
    iam = world.client("iam")
    try:
        found = iam.get_role(RoleName=role)["Role"]
    except iam.exceptions.NoSuchEntityException:
        raise Refusal("NoSuchEntity", f"Entity {role} does not exist", 404) from None
    own: list[Any] = []
    for name in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        own += _statements(iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"])
    arn = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
    if arn is None:
        return own, None
    version = iam.get_policy(PolicyArn=arn)["Policy"]["DefaultVersionId"]
    return own, _statements(iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"]["Document"])


def _statements(document: Any) -> list[Any]:
    parsed = json.loads(unquote(document)) if isinstance(document, str) else document
    return _listed(parsed["Statement"])


def _decision(own: Sequence[Any], boundary: Sequence[Any] | None, action: str, resource: str) -> str:
    every = [*own, *(boundary or ())]
    if any(each["Effect"] == "Deny" and _covers(each, action, resource) for each in every):
        return "explicitDeny"
    allowed = [
        any(each["Effect"] == "Allow" and _covers(each, action, resource) for each in some) for some in (own, boundary or own)
    ]
    return "allowed" if all(allowed) else "implicitDeny"


def _met(statement: Any, given: Mapping[str, Sequence[str]]) -> bool:
    """A condition on a key that the caller did not give is not met: IAM API Reference SimulatePrincipalPolicy, ContextEntries."""
    wanted = (statement.get("Condition") or {}).get("StringEquals") or {}
    return all(set(_listed(values)) & set(given.get(key, ())) for key, values in wanted.items())


def _covers(statement: Any, action: str, resource: str) -> bool:
    actions, resources = _listed(statement["Action"]), _listed(statement.get("Resource", "*"))
    named = any(fnmatchcase(action.lower(), each.lower()) for each in actions)
    return named and any(fnmatchcase(resource, each) for each in resources)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
