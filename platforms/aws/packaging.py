"""What runs in SageMaker's containers, as its script mode takes it: our own source in one archive, and the image around it.

The archive is known by its content: the same code and the same versions give the same bytes and the same name.
"""

import gzip
import io
import tarfile
from functools import cache
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from typing import Final

from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.errors import Invalid

FRAMEWORK: Final = ("sklearn", "1.4-2-py312")
"""SageMaker's own image with Python 3.12, numpy 2 and pyarrow, for both training and serving."""
PROGRAM: Final = {"train": "train.py", "serve": "serve.py"}
_ROOT: Final = Path(__file__).resolve().parents[2]
_ROOMS: Final = ("contracts", "policies", "learning", "platforms/tabular", "platforms/aws/container")
_FILES: Final = (
    "platforms/__init__.py",
    "platforms/errors.py",
    "platforms/files.py",
    "platforms/tables.py",
    "platforms/aws/__init__.py",
)
_PINNED: Final = ("lightgbm", "numpy", "pydantic", "filelock")
"""The versions of this process: another LightGBM or numpy may change a score's last bit."""
_TRAIN: Final = """\
import sys

from platforms.aws.container.train import main

if __name__ == "__main__":
    sys.exit(main())
"""
_SERVE: Final = "from platforms.aws.container.serve import input_fn, model_fn, output_fn, predict_fn\n"
_SETUP: Final = """\
from setuptools import find_packages, setup

setup(name="homeostat-container", version="1", packages=find_packages(), py_modules=["serve", "train"])
"""
"""Without it SageMaker's inference toolkit would install the files of the uppermost folder alone, and training runs `-m train`:
github.com/aws/sagemaker-containers, _modules.py (prepare, install) and _entry_point_type.py."""
_SCRIPTS: Final = {"train.py": _TRAIN, "serve.py": _SERVE, "setup.py": _SETUP}


@cache
def source_package() -> bytes:
    """The archive's bytes."""
    files = {name: text.encode() for name, text in _SCRIPTS.items()}
    files["requirements.txt"] = "".join(f"{name}=={version(name)}\n" for name in _PINNED).encode()
    paths = [_ROOT / name for name in _FILES] + [path for room in _ROOMS for path in (_ROOT / room).rglob("*.py")]
    files |= {path.relative_to(_ROOT).as_posix(): path.read_bytes() for path in paths}
    return archive(files)


def archive(files: dict[str, bytes]) -> bytes:
    """A gzipped tar of these files that is the same whenever and wherever it is made."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(packed.getvalue(), mtime=0)


class Package:
    """Our source and its image, for jobs, transforms and endpoints of one account."""

    def __init__(self, aws: Aws, objects: Objects) -> None:
        self._aws = aws
        self._objects = objects
        self._kept: str | None = None
        self._images: dict[tuple[str, str], str] = {}

    def uri(self) -> str:
        """The archive in the bucket, put there if need be."""
        if self._kept is None:
            content = source_package()
            key = f"container/{sha256(content).hexdigest()}.tar.gz"
            if not self._objects.there(key):
                self._objects.create(key, content)
            self._kept = self._objects.uri(key)
        return self._kept

    def hyperparameters(self) -> dict[str, str]:
        """What SageMaker's training toolkit wants to know in script mode: every value is JSON."""
        return {"sagemaker_program": f'"{PROGRAM["train"]}"', "sagemaker_submit_directory": f'"{self.uri()}"'}

    def container(self, model_data: str, **environment: str) -> dict[str, object]:
        """The container of a SageMaker model that serves an artifact with our code, as CreateModel takes it."""
        own = {
            "SAGEMAKER_PROGRAM": PROGRAM["serve"],
            "SAGEMAKER_SUBMIT_DIRECTORY": self.uri(),
            "SAGEMAKER_REGION": self._aws.region,
        }
        return {"Image": self.image("inference"), "ModelDataUrl": model_data, "Environment": own | environment}

    def image(self, scope: str, instance_type: str = "ml.m5.xlarge") -> str:
        """URI of the image for `training` or `inference`: the configured one, or SageMaker's own in this region.

        Raises: Invalid (neither an image nor the SDK).
        """
        if self._aws.settings.image:
            return self._aws.settings.image
        if (scope, instance_type) not in self._images:
            self._images[scope, instance_type] = _sdk_image(self._aws.region, scope, instance_type)
        return self._images[scope, instance_type]


def _sdk_image(region: str, scope: str, instance_type: str) -> str:
    """The only place that needs the SDK, which takes seconds to import. Raises: Invalid."""
    try:
        from sagemaker.core import image_uris
    except ModuleNotFoundError:
        raise Invalid(
            "no container image is known: install homeostat with its extra `aws`, whose sagemaker SDK names SageMaker's own "
            "image, or set HOMEOSTAT_AWS_IMAGE to the URI of one with SageMaker's training and inference toolkits"
        ) from None
    name, release = FRAMEWORK
    return str(
        image_uris.retrieve(name, region, version=release, py_version="py3", instance_type=instance_type, image_scope=scope)
    )
