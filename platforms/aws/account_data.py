"""Where the rows come from in an account, as `doctor` looks at it."""

from collections.abc import Iterator
from typing import Final

from contracts.fleet import Fleet
from platforms.aws.calls import Aws
from platforms.checkup import Finding, judged, looked

_CREATED: Final = "Created"


def sources(aws: Aws, fleet: Fleet | None) -> Iterator[Finding]:
    """Athena's workgroup and database, and the feature groups that the fleet file's tables are."""
    yield from looked("Athena workgroup", lambda: _workgroup(aws), "set HOMEOSTAT_AWS_ATHENA_WORKGROUP to one that is there")
    yield from looked("Glue database", lambda: _database(aws), "set HOMEOSTAT_AWS_ATHENA_DATABASE to one that is there")
    for name in _groups(aws, fleet):
        remedy = "create the feature group with an offline store, or name another table in the fleet file"
        yield from looked(f"feature group {name}", lambda name=name: _group(aws, name), remedy)  # type: ignore[misc]


def _workgroup(aws: Aws) -> Iterator[Finding]:
    name = aws.settings.athena_workgroup
    state = aws.call("athena", "get_work_group", WorkGroup=name)["WorkGroup"]["State"]
    wrong = [] if state == "ENABLED" else [f"{name} is {str(state).lower()}"]
    yield judged("Athena workgroup", name, wrong, "enable it, or set HOMEOSTAT_AWS_ATHENA_WORKGROUP")


def _database(aws: Aws) -> Iterator[Finding]:
    found = aws.call("glue", "get_database", Name=aws.settings.athena_database)["Database"]["Name"]
    yield Finding("Glue database", ok=True, found=str(found))


def _groups(aws: Aws, fleet: Fleet | None) -> list[str]:
    """The table of each policy, and what it names as its source instead."""
    found = []
    for policy in fleet.endpoints.values() if fleet else ():
        source = getattr(policy.data, "source", None) or f"feature-group:{aws.settings.feature_group_prefix}{policy.data.table}"
        kind, _, name = source.partition(":")
        if kind in ("feature-group", "online"):
            found.append(name)
    return sorted(set(found))


def _group(aws: Aws, name: str) -> Iterator[Finding]:
    found = aws.call("sagemaker", "describe_feature_group", FeatureGroupName=name)
    status, offline = found.get("FeatureGroupStatus"), found.get("OfflineStoreConfig")
    wrong = [] if status == _CREATED else [f"{name} is {status}"]
    if not offline:
        wrong.append(f"{name} has no offline store: past rows can't be read")
    yield judged(f"feature group {name}", "created, with an offline store", wrong, "create it with an offline store")
