"""The model registry: a model package group for each endpoint, a package for each model, its approval status from ours.

Under `models/<endpoint>/<digest>/` in the bucket lie model.tar.gz and card.json, written once, and the name of the package. Where
a model stands is kept on the package alone: exactly one of a group is `Approved`, the champion.
"""

from hashlib import sha256

from contracts.base import Contract
from contracts.training import ModelCard, ModelRef, ModelStatus
from learning.artifact import NotAModel, shifted
from platforms.aws.artifacts import packed_artifact, read_artifact
from platforms.aws.calls import Aws
from platforms.aws.model_package import APPROVAL, CARD, STATUS, card_content, group_request, metrics_content, package_request
from platforms.aws.names import name_of
from platforms.aws.objects import Objects
from platforms.aws.packaging import Package
from platforms.errors import Conflict, Invalid, NotFound
from platforms.files import checked_name, json_bytes, key_mark


class _Registered(Contract):
    arn: str


class _Made(Contract):
    key: str
    digest: str


class AwsRegistry:
    """Any number of objects and processes may share the packages of one account."""

    def __init__(self, aws: Aws, objects: Objects, package: Package | None = None) -> None:
        self._aws = aws
        self._objects = objects
        self._package = package or Package(aws, objects)
        self._whole: set[str] = set()

    def register(self, card: ModelCard) -> ModelCard:
        """Keep the artifact under its digest; a model that is registered already stays as it is.

        Raises:
            NotFound: the artifact isn't there.
            Corrupt: its digest is not the card's.
            Exhausted: a quota is used up.
        """
        if not self._objects.there(f"{_folder(card.model)}/package.json"):
            self._keep(card, read_artifact(self._objects, card.artifact_uri, card.model.digest))
        return self.get(card.model)

    def recalibrated(self, model: ModelRef, shift: tuple[float, ...], key: str) -> ModelCard:
        """Register the model with this shift instead of its own; a shift that it has, or had before, gives that model's card.

        Raises:
            NotFound: the model isn't registered.
            Corrupt: its artifact isn't whole.
            Invalid: the shift doesn't fit its task.
            Conflict: the key made another recalibration before.
        """
        base = self._card(model)
        try:
            content = shifted(read_artifact(self._objects, base.artifact_uri, model.digest), shift)
        except NotAModel as error:
            raise Invalid(f"model {model.digest[:12]} can't be recalibrated: {error}") from None
        derived = ModelRef(endpoint=model.endpoint, digest=sha256(content).hexdigest())
        if not self._objects.there(f"{_folder(derived)}/package.json"):
            self._never_made_another(key, derived)
            changed = {"model": derived, "status": ModelStatus.PENDING, "shift": shift, "derived_from": model.digest, "key": key}
            self._keep(base.model_copy(update=changed), content)
        return self.get(derived)

    def get(self, model: ModelRef) -> ModelCard:
        """The card of a model whose artifact is whole, with where it stands now. Raises: NotFound, Corrupt."""
        card = self._card(model)
        if card.artifact_uri not in self._whole:
            read_artifact(self._objects, card.artifact_uri, model.digest)
            self._whole.add(card.artifact_uri)
        return card.model_copy(update={"status": self._status(self._arn(model))})

    def mark(self, model: ModelRef, status: ModelStatus) -> ModelCard:
        """Set the status; making one CHAMPION retires every other champion of the endpoint.

        Killed half-way, two champions are left: marking again, this one or another, heals that.

        Raises: NotFound (the model isn't registered), Corrupt.
        """
        arn = self._arn(model)
        self._set(model, arn, status)
        if status is ModelStatus.CHAMPION:
            for other in self._approved(model.endpoint):
                if other != arn:
                    self._set(self._model_of(other, model.endpoint), other, ModelStatus.RETIRED)
        return self._card(model).model_copy(update={"status": status})

    def _keep(self, card: ModelCard, content: bytes) -> None:
        """Artifact, card, package, and last the package's name, by which the rest is known to be there."""
        folder = _folder(card.model)
        self._objects.create(f"{folder}/model.tar.gz", packed_artifact(content))
        kept = card.model_copy(update={"artifact_uri": self._objects.uri(f"{folder}/model.tar.gz")})
        self._objects.create(f"{folder}/card.json", json_bytes(kept))
        kept = self._objects.read(f"{folder}/card.json", ModelCard)
        metrics = self._objects.put(f"{folder}/metrics.json", metrics_content(kept).encode())
        container = self._package.container(kept.artifact_uri)
        group = self._ensured_group(card.model.endpoint)
        asked = package_request(kept, group, made_by=card.artifact_uri, container=container, metrics=metrics)
        arn = self._known(card.model) or str(self._aws.call("sagemaker", "create_model_package", **asked)["ModelPackageArn"])
        self._ensured_model_card(kept)
        self._objects.put(f"{folder}/package.json", json_bytes(_Registered(arn=arn)))

    def _ensured_group(self, endpoint: str) -> str:
        name = self._group(endpoint)
        try:
            self._aws.call("sagemaker", "create_model_package_group", **group_request(name, endpoint))
        except Conflict:
            return name
        return name

    def _ensured_model_card(self, card: ModelCard) -> None:
        asked = {
            "ModelCardName": self._card_name(card.model),
            "Content": card_content(card),
            "ModelCardStatus": CARD[card.status],
        }
        try:
            self._aws.call("sagemaker", "create_model_card", **asked)
        except Conflict:
            return

    def _set(self, model: ModelRef, arn: str, status: ModelStatus) -> None:
        self._aws.call(
            "sagemaker",
            "update_model_package",
            ModelPackageArn=arn,
            ModelApprovalStatus=APPROVAL[status],
            ApprovalDescription=f"{status.value} of {model.endpoint}",
            CustomerMetadataProperties={STATUS: status.value},
        )
        name = self._card_name(model)
        self._aws.call("sagemaker", "update_model_card", ModelCardName=name, ModelCardStatus=CARD[status])

    def _status(self, arn: str) -> ModelStatus:
        """The package's; a person who approves or rejects in SageMaker's studio changes nothing of ours."""
        told = self._aws.call("sagemaker", "describe_model_package", ModelPackageName=arn)
        return ModelStatus(str(told["CustomerMetadataProperties"][STATUS]))

    def _approved(self, endpoint: str) -> list[str]:
        """Packages of the endpoint that are `Approved`, which only a champion is."""
        asked = {"ModelPackageGroupName": self._group(endpoint), "ModelApprovalStatus": "Approved"}
        pages = self._aws.pages("sagemaker", "list_model_packages", **asked)
        return [str(row["ModelPackageArn"]) for page in pages for row in page["ModelPackageSummaryList"]]

    def _known(self, model: ModelRef) -> str | None:
        """The package of a model that was registered before its name was noted: killed in between."""
        pages = self._aws.pages("sagemaker", "list_model_packages", ModelPackageGroupName=self._group(model.endpoint))
        for page in pages:
            for row in page["ModelPackageSummaryList"]:
                if str(row.get("ModelPackageDescription", "")).endswith(model.digest):
                    return str(row["ModelPackageArn"])
        return None

    def _model_of(self, arn: str, endpoint: str) -> ModelRef:
        told = self._aws.call("sagemaker", "describe_model_package", ModelPackageName=arn)
        return ModelRef(endpoint=endpoint, digest=str(told["CustomerMetadataProperties"]["digest"]))

    def _arn(self, model: ModelRef) -> str:
        """Raises: NotFound."""
        try:
            return self._objects.read(f"{_folder(model)}/package.json", _Registered).arn
        except NotFound:
            raise NotFound(_unknown(model)) from None

    def _card(self, model: ModelRef) -> ModelCard:
        """Raises: NotFound."""
        try:
            return self._objects.read(f"{_folder(model)}/card.json", ModelCard)
        except NotFound:
            raise NotFound(_unknown(model)) from None

    def _never_made_another(self, key: str, model: ModelRef) -> None:
        """Raises: Conflict."""
        note = f"models/{checked_name(model.endpoint, 'endpoint')}/keys/{key_mark(key)}.json"
        if not self._objects.create(note, json_bytes(_Made(key=key, digest=model.digest))):
            made = self._objects.read(note, _Made).digest
            if made != model.digest:
                raise Conflict(
                    f"the key {key!r} made model {made[:12]} before, now asks for {model.digest[:12]}: "
                    "use a new key for another shift"
                )

    def _group(self, endpoint: str) -> str:
        return name_of(self._aws.settings.prefix, endpoint, "models", endpoint)

    def _card_name(self, model: ModelRef) -> str:
        return name_of(self._aws.settings.prefix, model.endpoint, "card", f"{model.endpoint}/{model.digest}")


def _folder(model: ModelRef) -> str:
    return f"models/{checked_name(model.endpoint, 'endpoint')}/{checked_name(model.digest, 'digest')}"


def _unknown(model: ModelRef) -> str:
    return f"endpoint {model.endpoint} has no model {model.digest[:12]} in the registry: register it first"
