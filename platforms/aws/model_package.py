"""A registered model as SageMaker shows it: the package with its metrics and its lineage, and the model card for people.

Source: docs.aws.amazon.com/sagemaker/latest/dg/model-cards.html#model-cards-json-schema for the card's sections.
"""

from hashlib import sha256
from json import dumps
from typing import Any, Final

from contracts.training import ModelCard, ModelStatus
from platforms.aws.names import taggable

STATUS: Final = "status"
"""Customer metadata property that holds our status: SageMaker's own knows three."""
APPROVAL: Final = {
    ModelStatus.PENDING: "PendingManualApproval",
    ModelStatus.CHAMPION: "Approved",
    ModelStatus.RETIRED: "Rejected",
    ModelStatus.ROLLED_BACK: "Rejected",
    ModelStatus.REJECTED: "Rejected",
}
CARD: Final = {
    ModelStatus.PENDING: "PendingReview",
    ModelStatus.CHAMPION: "Approved",
    ModelStatus.RETIRED: "Archived",
    ModelStatus.ROLLED_BACK: "Archived",
    ModelStatus.REJECTED: "Archived",
}
_JSON: Final = "application/json"
_LONGEST: Final = 256


def group_request(name: str, endpoint: str) -> dict[str, Any]:
    """CreateModelPackageGroup's parameters."""
    return {
        "ModelPackageGroupName": name,
        "ModelPackageGroupDescription": f"Models of the endpoint {endpoint}; the approved one is its champion",
        "Tags": [{"Key": "homeostat:endpoint", "Value": endpoint}],
    }


def package_request(card: ModelCard, group: str, *, made_by: str, container: dict[str, object], metrics: str) -> dict[str, Any]:
    """CreateModelPackage's parameters. The token makes a second request of the same model the first."""
    return {
        "ModelPackageGroupName": group,
        "ModelPackageDescription": f"Model of {card.model.endpoint}, {card.model.digest}",
        "ModelApprovalStatus": APPROVAL[card.status],
        "InferenceSpecification": {
            "Containers": [container],
            "SupportedContentTypes": [_JSON],
            "SupportedResponseMIMETypes": [_JSON],
        },
        "ModelMetrics": {"ModelQuality": {"Statistics": {"ContentType": _JSON, "S3Uri": metrics}}},
        "MetadataProperties": {"GeneratedBy": made_by, "ProjectId": card.incident[:1024]},
        "CustomerMetadataProperties": {name: taggable(text) for name, text in _lineage(card).items() if text},
        "ClientToken": sha256(f"{group}/{card.model.digest}".encode()).hexdigest()[:36],
        "SkipModelValidation": "All",
    }


def metrics_content(card: ModelCard) -> str:
    """What the recipe reached at the gate, by metric."""
    return dumps({"gate": card.reference}, sort_keys=True)


def _lineage(card: ModelCard) -> dict[str, str]:
    return {
        STATUS: card.status.value,
        "digest": card.model.digest,
        "incident": card.incident,
        "dataset_sha256": card.dataset_sha256,
        "trained_through": card.trained_through.isoformat(),
        "rows": str(card.rows),
        "members": " ".join(member.name for member in card.recipe.blended),
        "derived_from": card.derived_from or "",
        "key": card.key,
    }


def card_content(card: ModelCard) -> str:
    """The model card: what the model is, from which rows it learned, how it did at the gate."""
    measured = [{"name": name, "type": "number", "value": value} for name, value in sorted(card.reference.items())]
    sections: dict[str, Any] = {
        "model_overview": {
            "model_description": f"{card.task.value} model of the endpoint {card.model.endpoint}",
            "model_name": card.model.digest,
            "model_artifact": [card.artifact_uri],
            "algorithm_type": "Blend of gradient-boosted trees (LightGBM)",
        },
        "intended_uses": {"purpose_of_model": f"Answers the calls of the endpoint {card.model.endpoint}"},
        "training_details": {
            "training_observations": (
                f"{card.rows} labelled rows up to {card.trained_through:%Y-%m-%d %H:%M} UTC; "
                f"members {', '.join(member.name for member in card.recipe.blended)}; features {', '.join(card.features)}"
            )[:1024]
        },
        "additional_information": {"custom_details": {name: text[:_LONGEST] for name, text in _lineage(card).items() if text}},
    }
    if measured:
        sections["evaluation_details"] = [
            {"name": "gate", "metric_groups": [{"name": "challenger at the gate", "metric_data": measured}]}
        ]
    return dumps(sections, sort_keys=True)
