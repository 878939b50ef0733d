"""What is temporary on AWS: tagged things in SageMaker, folders of jobs and snapshots in the bucket, and what crashes left there.

Removal goes from what uses to what is used: endpoints, configurations, jobs, models, then folders. A training job's folder
stays as long as one of its attempts runs.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from contracts.inventory import Removal, Resource
from contracts.training import Tags, TrainChallenger
from platforms.aws.calls import Aws
from platforms.aws.names import name_of
from platforms.aws.objects import Objects, Stored
from platforms.aws.tagged_resources import ORDER, UNKNOWN, TaggedResources
from platforms.aws.vault import VAULT
from platforms.errors import Corrupt, Invalid, NotFound, PlatformError
from platforms.tagged import TAGS, Tagged

LEFTOVER: Final = "leftover"
"""Kind of what a crash left: nobody knows any more whose it was."""
TICKET: Final = "ticket"
"""Kind of an expired ticket of the decision vault."""
_AGES: Final = {
    "jobs": timedelta(hours=1),
    "snapshots": timedelta(hours=1),
    "queries": timedelta(hours=1),
    "transforms": timedelta(days=7),
}
"""Folders without readable tags count as left over from this age on: younger ones may be in the making, or asked for again."""
_EXPIRED: Final = timedelta(days=7)
_UNKNOWN: Final = Tags(endpoint=UNKNOWN, incident="", team=UNKNOWN, cost_center=UNKNOWN)
_ID: Final = re.compile(rf"(?:{'|'.join(_AGES)})/[A-Za-z0-9][A-Za-z0-9.-]{{0,62}}|vault/[0-9a-f]{{64}}")
_MOST_ATTEMPTS: Final = 100


@dataclass
class _Folder:
    bytes: int = 0
    changed: datetime = datetime(1970, 1, 1, tzinfo=UTC)
    names: set[str] = field(default_factory=set)

    def take(self, found: Stored, name: str) -> None:
        self.bytes += found.bytes
        self.changed = max(self.changed, found.changed)
        self.names.add(name)


class AwsInventory:
    def __init__(self, aws: Aws, objects: Objects) -> None:
        self._aws = aws
        self._objects = objects
        self._tagged = TaggedResources(aws)

    def list(self, tags: Tags | None = None) -> Sequence[Resource]:
        """Those of one endpoint's incident, or all; leftovers belong to nobody and stand only among all."""
        found = [*self._tagged.list(tags), *self._folders()]
        if tags is None:
            return [*found, *self._expired()]
        return [each for each in found if (each.tags.endpoint, each.tags.incident) == (tags.endpoint, tags.incident)]

    def remove(self, resources: Sequence[Resource]) -> Removal:
        """What runs, and what can't be deleted, is reported with the reason; the rest is gone."""
        removed, failed = [], []
        for resource in sorted(resources, key=_place):
            try:
                if resource.id.startswith("arn:"):
                    self._tagged.remove(resource.id)
                else:
                    self._remove(resource.id)
                removed.append(resource)
            except PlatformError as error:
                failed.append(f"{resource.id[:200]}: {error}")
        return Removal(removed=tuple(each for each in resources if each in removed), failed=tuple(failed))

    def _folders(self) -> Iterator[Resource]:
        for place, age in _AGES.items():
            folders: dict[str, _Folder] = {}
            for found in self._objects.listed(f"{place}/"):
                folder, _, name = found.key.removeprefix(f"{place}/").partition("/")
                folders.setdefault(folder, _Folder()).take(found, name)
            for folder, held in folders.items():
                identity = f"{place}/{folder}"
                if not _ID.fullmatch(identity):
                    continue
                known = self._owned(identity, held)
                if known is not None:
                    yield known
                elif datetime.now(UTC) - held.changed > age:
                    yield Resource(id=identity, kind=LEFTOVER, tags=_UNKNOWN, created=held.changed, bytes=held.bytes)

    def _owned(self, identity: str, held: _Folder) -> Resource | None:
        """The folder with its tags; None where they are gone or can't be read."""
        try:
            if TAGS in held.names:
                found = self._objects.read(f"{identity}/{TAGS}", Tagged)
                tags = Tags.model_validate(found.model_dump())
                return Resource(id=identity, kind=found.kind, tags=tags, created=found.created, bytes=held.bytes)
            if "job.json" in held.names:
                job = self._objects.read(f"{identity}/job.json", TrainChallenger)
                return Resource(id=identity, kind="training_job", tags=job.tags, created=held.changed, bytes=held.bytes)
        except (NotFound, Corrupt):
            return None
        return None

    def _expired(self) -> Iterator[Resource]:
        for found in self._objects.listed(VAULT):
            if datetime.now(UTC) - found.changed > _EXPIRED:
                yield Resource(id=found.key, kind=TICKET, tags=_UNKNOWN, created=found.changed, bytes=found.bytes)

    def _remove(self, identity: str) -> None:
        """Its tags go last, so that a removal that breaks off is found again under them."""
        if not _ID.fullmatch(identity):
            raise Invalid("it names nothing temporary of this homeostat; nothing was removed")
        if identity.startswith(VAULT):
            self._objects.remove(identity)
            return
        self._refuse_running(identity)
        last = {f"{identity}/{TAGS}", f"{identity}/job.json"}
        for key in list(self._objects.keys(f"{identity}/")):
            if key not in last:
                self._objects.remove(key)
        for key in sorted(last):
            self._objects.remove(key)

    def _refuse_running(self, identity: str) -> None:
        """Raises: Unavailable."""
        if not identity.startswith("jobs/"):
            return
        try:
            job = self._objects.read(f"{identity}/job.json", TrainChallenger)
        except (NotFound, Corrupt):
            return
        for attempt in range(_MOST_ATTEMPTS):
            name = name_of(self._aws.settings.prefix, job.endpoint, "train", f"{job.key}#{attempt}")
            if not self._tagged.wait_until_over("training-job", name):
                return


def _place(resource: Resource) -> int:
    kind = resource.kind.replace("_", "-")
    return ORDER.index(kind) if resource.id.startswith("arn:") and kind in ORDER else len(ORDER)
