"""Where the behaviour suite gets its platforms: every test with a `platform` runs once for each."""

from pathlib import Path
from typing import Any

import pytest

from tests.platforms.data_fixtures import PLATFORMS, DataPlatform


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(params=PLATFORMS)
def platform(request: Any, home: Path) -> DataPlatform:
    return PLATFORMS[request.param](home)
