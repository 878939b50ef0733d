"""The source package: known by its content, whole as SageMaker's toolkits install it, and small."""

import ast
import io
import tarfile
from collections.abc import Iterator
from pathlib import PurePosixPath

import pytest

from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.aws.packaging import Package, archive, source_package
from platforms.errors import Invalid
from tests.aws.fixtures import IMAGE, new_account
from tests.aws.simulator import Simulator


def _files() -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(source_package())) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar}  # type: ignore[union-attr]


def test_the_same_files_give_the_same_bytes_in_any_order() -> None:
    one = archive({"a.py": b"1", "b/c.py": b"2"})
    assert one == archive({"b/c.py": b"2", "a.py": b"1"})
    assert one != archive({"a.py": b"1", "b/c.py": b"3"})


def test_every_folder_of_the_package_is_one_that_its_setup_finds() -> None:
    """The inference toolkit installs the package and imports `serve` from there: find_packages sees folders with __init__.py."""
    files = _files()
    assert {"train.py", "serve.py", "setup.py", "requirements.txt"} <= files.keys()
    folders = {parent for name in files for parent in PurePosixPath(name).parents} - {PurePosixPath(".")}
    assert not [folder for folder in folders if str(folder / "__init__.py") not in files]


def test_whatever_a_module_of_the_package_imports_of_ours_is_in_it() -> None:
    files = _files()
    rooms = {name.split("/")[0] for name in files if "/" in name}
    for name, content in files.items():
        if name.endswith(".py") and name != "setup.py":
            for module in _imported(content):
                path = module.replace(".", "/")
                assert module.split(".")[0] not in rooms or {f"{path}.py", f"{path}/__init__.py"} & files.keys(), (name, module)


def _imported(content: bytes) -> Iterator[str]:
    for node in ast.walk(ast.parse(content)):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_what_decides_a_score_s_last_bit_is_pinned() -> None:
    wanted = dict(line.split("==") for line in _files()["requirements.txt"].decode().split())
    assert wanted.keys() == {"lightgbm", "numpy", "pydantic", "filelock"}
    assert len(source_package()) < 1_000_000


def test_it_is_put_into_the_bucket_once(aws: Aws, objects: Objects, simulator: Simulator) -> None:
    uris = {Package(aws, objects).uri() for _ in range(2)}
    assert len(uris) == 1
    assert objects.get(objects.within(uris.pop())) == source_package()
    assert len(simulator.calls("s3", "PutObject")) == 1


def test_without_an_image_and_without_the_sdk_the_remedy_is_told(aws: Aws, objects: Objects) -> None:
    assert Package(aws, objects).image("training") == IMAGE
    bare = new_account(image="")
    with pytest.raises(Invalid, match="or set HOMEOSTAT_AWS_IMAGE"):
        Package(bare, Objects(bare)).image("training")
