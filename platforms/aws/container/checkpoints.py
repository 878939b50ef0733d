"""Members that are fitted already, kept where SageMaker copies them to the bucket: an interrupted job goes on from them."""

from collections.abc import Iterator, MutableMapping
from hashlib import sha256
from pathlib import Path

from contracts.base import Contract
from contracts.training import TrainChallenger
from platforms.errors import Corrupt, NotFound
from platforms.files import read_json, write_contract


class _Member(Contract):
    name: str
    trees: str
    sha256: str


class Checkpoints(MutableMapping[str, str]):
    """Texts of members by name, as files of this job; one that isn't whole counts as absent and is fitted again."""

    def __init__(self, folder: Path, job: TrainChallenger) -> None:
        self._folder = folder / sha256(job.model_dump_json().encode()).hexdigest()[:16]

    def __getitem__(self, name: str) -> str:
        try:
            found = read_json(self._path(name), _Member)
        except (NotFound, Corrupt):
            raise KeyError(name) from None
        if found.name != name or found.sha256 != _digest(found.trees):
            raise KeyError(name)
        return found.trees

    def __setitem__(self, name: str, trees: str) -> None:
        write_contract(self._path(name), _Member(name=name, trees=trees, sha256=_digest(trees)))

    def __delitem__(self, name: str) -> None:
        self._path(name).unlink(missing_ok=True)

    def __iter__(self) -> Iterator[str]:
        return (read_json(path, _Member).name for path in sorted(self._folder.glob("[0-9a-f]*.json")))

    def __len__(self) -> int:
        return len(list(self._folder.glob("[0-9a-f]*.json")))

    def _path(self, name: str) -> Path:
        return self._folder / f"{_digest(name)[:16]}.json"


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()
