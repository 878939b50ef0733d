"""What was asked of each endpoint, in the bucket: one object per deployment, written before anything is done.

SageMaker says what an endpoint runs, not what it was meant to run, and after a rollback of its own it names the former
configuration and may give no reason. So the wish is kept here, with a mark once SageMaker has taken it and one once what follows
a deployment is done: `serving/<endpoint>/<revision>.json`, `.started`, `.settled`.
"""

from dataclasses import dataclass
from typing import Final, Literal

from contracts.base import Contract, EndpointName, Sha256, Utc
from platforms.aws.objects import Objects
from platforms.aws.scaling import Bounds

_REMEMBERED: Final = 50
Mark = Literal["started", "settled"]


class Applied(Contract):
    """A deployment that was asked for, so that asking again changes nothing."""

    key: str
    digest: Sha256
    config: str
    """SageMaker's name of the endpoint configuration."""
    recipe: str
    """What the configuration is made of; the same recipe is the same configuration."""
    model: str = ""
    """SageMaker's name of the model."""


class Wish(Contract):
    """What an endpoint should serve from now on."""

    endpoint: EndpointName
    revision: int
    at: Utc
    key: str
    digest: Sha256
    config: str
    variant: str
    modified: Utc | None = None
    """When the endpoint had last changed as this was written; None where there was none."""
    reason: str = ""
    """What SageMaker said of an earlier deployment as this was written: the same words tell nothing of this one."""
    alarms: tuple[str, ...] = ()
    """That guard the deployment."""
    notes: tuple[str, ...] = ()
    bounds: Bounds | None = None
    """Of the scalable target before the deployment."""
    applied: tuple[Applied, ...] = ()
    """The last ones, the newest last, this one included."""
    served: tuple[str, ...] = ()
    """Configurations that have been in service, the newest last; those of deployments that went back are not among them."""

    def asked(self, key: str) -> Applied | None:
        return next((each for each in self.applied if each.key == key), None)

    def known(self, config: str) -> Applied | None:
        return next((each for each in reversed(self.applied) if each.config == config), None)

    def alike(self, recipe: str) -> Applied | None:
        """The newest of this recipe."""
        return next((each for each in reversed(self.applied) if each.recipe == recipe), None)


@dataclass(frozen=True)
class Kept:
    """A wish with its marks."""

    wish: Wish
    marks: frozenset[str]

    @property
    def started(self) -> bool:
        return "started" in self.marks

    @property
    def settled(self) -> bool:
        return "settled" in self.marks


class DeploymentLog:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._wishes: dict[str, Wish] = {}
        """The last one read of each endpoint: a revision never changes."""

    def newest(self, endpoint: str) -> Kept | None:
        names = [key.rpartition("/")[2].split(".") for key in self._objects.keys(f"serving/{endpoint}/")]
        revisions = [name for name, kind in names if kind == "json"]
        if not revisions:
            return None
        wish = self._wishes.get(endpoint)
        if wish is None or wish.revision != int(revisions[-1]):
            wish = self._wishes[endpoint] = self._objects.read(f"serving/{endpoint}/{revisions[-1]}.json", Wish)
        return Kept(wish, frozenset(kind for name, kind in names if name == revisions[-1]))

    def write(self, wish: Wish) -> bool:
        """False where another deployment came between: nothing is written."""
        wish = wish.model_copy(update={"applied": wish.applied[-_REMEMBERED:]})
        return self._objects.create(f"{_stem(wish)}.json", wish.model_dump_json().encode())

    def mark(self, wish: Wish, mark: Mark) -> None:
        self._objects.put(f"{_stem(wish)}.{mark}", b"")


def _stem(wish: Wish) -> str:
    return f"serving/{wish.endpoint}/{wish.revision:08d}"
