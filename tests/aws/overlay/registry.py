"""Model package groups, their versioned packages, and model cards.

Sources: docs.aws.amazon.com/sagemaker/latest/APIReference/ API_CreateModelPackage.html (ClientToken makes the call idempotent),
API_UpdateModelPackage.html (metadata properties are added or replaced), API_CreateModelCard.html (ConflictException).
"""

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tests.aws.calls import Call, Refusal
from tests.aws.overlay.job_table import arn, checked, page, tag
from tests.aws.world import World

STATUSES = {"Approved", "Rejected", "PendingManualApproval"}
CARD_STATUSES = {"Draft", "PendingReview", "Approved", "Archived"}


@dataclass
class Package:
    """One version."""

    arn: str
    group: str
    version: int
    told: dict[str, Any]
    created: datetime
    token: str | None


@dataclass
class Group:
    """Packages by version."""

    name: str
    arn: str
    asked: dict[str, Any]
    created: datetime
    made: int = 0
    packages: dict[int, Package] = field(default_factory=dict)


def install(world: World) -> None:
    groups: dict[str, Group] = {}
    _install_groups(world, groups)
    _install_packages(world, groups)
    _install_cards(world)


def _install_groups(world: World, groups: dict[str, Group]) -> None:
    @world.operation("sagemaker", "CreateModelPackageGroup")
    def create(call: Call) -> dict[str, Any]:
        name = checked(call, "ModelPackageGroupName")
        with world.lock:
            if name in groups:
                raise Refusal("ValidationException", f"Model Package Group already exists: {groups[name].arn}")
            groups[name] = Group(name, arn("model-package-group", name), call.params, world.now())
        tag(world, groups[name].arn, call.params)
        return {"ModelPackageGroupArn": groups[name].arn}

    @world.operation("sagemaker", "DescribeModelPackageGroup")
    def describe(call: Call) -> dict[str, Any]:
        return _row(_group(groups, call))

    @world.operation("sagemaker", "DeleteModelPackageGroup")
    def delete(call: Call) -> None:
        group = _group(groups, call)
        if group.packages:
            raise Refusal("ConflictException", "Model Package Group cannot be deleted because it still contains Model Packages")
        groups.pop(group.name)

    @world.operation("sagemaker", "ListModelPackageGroups")
    def listing(call: Call) -> dict[str, Any]:
        part = call.params.get("NameContains") or ""
        rows = [_row(group) for name, group in sorted(groups.items()) if part in name]
        return page(call, rows, "ModelPackageGroupSummaryList")


def _row(group: Group) -> dict[str, Any]:
    return {
        "ModelPackageGroupName": group.name,
        "ModelPackageGroupArn": group.arn,
        "ModelPackageGroupDescription": group.asked.get("ModelPackageGroupDescription") or "",
        "CreationTime": group.created,
        "CreatedBy": {},
        "ModelPackageGroupStatus": "Completed",
    }


def _group(groups: dict[str, Group], call: Call) -> Group:
    name = str(call.params["ModelPackageGroupName"]).rpartition("/")[2]
    if name not in groups:
        raise Refusal("ValidationException", f"ModelPackageGroup {arn('model-package-group', name)} does not exist.")
    return groups[name]


def _found(groups: dict[str, Group], wanted: str) -> Package:
    for group in groups.values():
        for package in group.packages.values():
            if package.arn == wanted:
                return package
    raise Refusal("ValidationException", f"ModelPackage {wanted} does not exist.")


def _updated(world: World, package: Package, given: dict[str, Any]) -> None:
    with world.lock:
        kept = dict(package.told.get("CustomerMetadataProperties") or {})
        kept |= given.get("CustomerMetadataProperties") or {}
        for name in given.get("CustomerMetadataPropertiesToRemove") or ():
            kept.pop(name, None)
        if len(kept) > 50:
            raise Refusal("ValidationException", "CustomerMetadataProperties can have 50 entries at most")
        fields = ("ModelApprovalStatus", "ApprovalDescription", "InferenceSpecification", "SourceUri")
        package.told |= {name: given[name] for name in fields if given.get(name) is not None}
        package.told["CustomerMetadataProperties"] = kept


def _install_packages(world: World, groups: dict[str, Group]) -> None:
    @world.operation("sagemaker", "CreateModelPackage")
    def create(call: Call) -> dict[str, Any]:
        group, token = _group(groups, call), call.params.get("ClientToken")
        _checked_status(call.params.get("ModelApprovalStatus"), STATUSES)
        with world.lock:
            for package in group.packages.values():
                if token and package.token == token:
                    return {"ModelPackageArn": package.arn}
            group.made += 1
            made = arn("model-package", f"{group.name}/{group.made}")
            told = {
                name: value for name, value in call.params.items() if name not in {"ClientToken", "Tags", "SkipModelValidation"}
            }
            package = group.packages[group.made] = Package(made, group.name, group.made, told, world.now(), token)
        tag(world, made, call.params)
        _package_event(world, package)
        return {"ModelPackageArn": made}

    @world.operation("sagemaker", "DescribeModelPackage")
    def describe(call: Call) -> dict[str, Any]:
        package = _found(groups, str(call.params["ModelPackageName"]))
        return {
            **package.told,
            "ModelPackageName": package.group,
            "ModelPackageArn": package.arn,
            "ModelPackageVersion": package.version,
            "CreationTime": package.created,
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": []},
        }

    @world.operation("sagemaker", "UpdateModelPackage")
    def update(call: Call) -> dict[str, Any]:
        package = _found(groups, str(call.params["ModelPackageArn"]))
        _checked_status(call.params.get("ModelApprovalStatus"), STATUSES)
        _updated(world, package, call.params)
        _package_event(world, package)
        return {"ModelPackageArn": package.arn}

    @world.operation("sagemaker", "DeleteModelPackage")
    def delete(call: Call) -> None:
        package = _found(groups, str(call.params["ModelPackageName"]))
        groups[package.group].packages.pop(package.version)

    _install_listing(world, groups)


def _install_listing(world: World, groups: dict[str, Group]) -> None:
    @world.operation("sagemaker", "ListModelPackages")
    def listing(call: Call) -> dict[str, Any]:
        wanted = call.params.get("ModelApprovalStatus")
        packages = sorted(_group(groups, call).packages.values(), key=lambda p: p.version, reverse=True)
        rows = [
            {
                "ModelPackageGroupName": p.group,
                "ModelPackageVersion": p.version,
                "ModelPackageArn": p.arn,
                "ModelPackageDescription": p.told.get("ModelPackageDescription") or "",
                "CreationTime": p.created,
                "ModelPackageStatus": "Completed",
                "ModelApprovalStatus": p.told.get("ModelApprovalStatus") or "PendingManualApproval",
            }
            for p in packages
            if wanted in (None, p.told.get("ModelApprovalStatus"))
        ]
        return page(call, rows, "ModelPackageSummaryList")


def _checked_status(given: str | None, allowed: set[str]) -> None:
    if given is not None and given not in allowed:
        raise Refusal("ValidationException", f"Value '{given}' failed to satisfy constraint: one of {sorted(allowed)}")


def _package_event(world: World, package: Package) -> None:
    """docs.aws.amazon.com/sagemaker/latest/dg/automating-sagemaker-with-eventbridge.html, model package state change."""
    detail = {
        "ModelPackageName": f"{package.group}/{package.version}",
        "ModelPackageArn": package.arn,
        "ModelPackageGroupName": package.group,
        "ModelPackageVersion": package.version,
        "CreationTime": int(package.created.timestamp() * 1000),
        "ModelPackageStatus": "Completed",
        "ModelApprovalStatus": package.told.get("ModelApprovalStatus") or "PendingManualApproval",
        "CustomerMetadataProperties": package.told.get("CustomerMetadataProperties") or {},
    }
    world.emit_event("aws.sagemaker", "SageMaker Model Package State Change", detail, [package.arn])


def _install_cards(world: World) -> None:
    cards: dict[str, dict[str, Any]] = {}

    def found(call: Call) -> dict[str, Any]:
        name = str(call.params["ModelCardName"]).rpartition("/")[2]
        if name not in cards:
            raise Refusal("ResourceNotFound", f"Model Card {name} does not exist")
        return cards[name]

    @world.operation("sagemaker", "CreateModelCard")
    def create(call: Call) -> dict[str, Any]:
        name = checked(call, "ModelCardName")
        _checked_content(call.params["Content"])
        _checked_status(call.params["ModelCardStatus"], CARD_STATUSES)
        with world.lock:
            if name in cards:
                raise Refusal("ConflictException", f"Model Card {name} already exists")
            cards[name] = {
                "ModelCardArn": arn("model-card", name),
                "ModelCardName": name,
                "ModelCardVersion": 1,
                "Content": call.params["Content"],
                "ModelCardStatus": call.params["ModelCardStatus"],
                "CreationTime": world.now(),
                "CreatedBy": {},
            }
        tag(world, cards[name]["ModelCardArn"], call.params)
        return {"ModelCardArn": cards[name]["ModelCardArn"]}

    @world.operation("sagemaker", "DescribeModelCard")
    def describe(call: Call) -> dict[str, Any]:
        return found(call)

    @world.operation("sagemaker", "UpdateModelCard")
    def update(call: Call) -> dict[str, Any]:
        card = found(call)
        _checked_status(call.params.get("ModelCardStatus"), CARD_STATUSES)
        if call.params.get("Content") is not None:
            _checked_content(call.params["Content"])
        given = {name: call.params[name] for name in ("Content", "ModelCardStatus") if call.params.get(name) is not None}
        with world.lock:
            card |= {**given, "ModelCardVersion": card["ModelCardVersion"] + 1, "LastModifiedTime": world.now()}
        return {"ModelCardArn": card["ModelCardArn"]}

    @world.operation("sagemaker", "DeleteModelCard")
    def delete(call: Call) -> None:
        cards.pop(found(call)["ModelCardName"])


def _checked_content(content: str) -> None:
    """Its schema's first level: docs.aws.amazon.com/sagemaker/latest/dg/model-cards.html#model-cards-json-schema."""
    try:
        sections = set(json.loads(content))
    except ValueError:
        raise Refusal("ValidationException", "Content is not JSON") from None
    allowed = {"model_overview", "model_package_details", "intended_uses", "business_details", "training_details"}
    allowed |= {"evaluation_details", "additional_information"}
    if unknown := sections - allowed:
        raise Refusal("ValidationException", f"Content does not follow the model card schema: {sorted(unknown)}")
