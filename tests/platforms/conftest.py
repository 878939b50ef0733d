"""Where the behaviour suite gets its platforms: every test with a `platform` runs once for each."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.platforms import records_fixtures
from tests.platforms.data_fixtures import PLATFORMS, DataPlatform
from tests.platforms.feature_fixtures import FEATURES, Features
from tests.platforms.records_fixtures import Records


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture(params=sorted(records_fixtures.PLATFORMS))
def records(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[], Records]:
    """Opens the record-keeping ports as another process would."""
    if request.param == "aws":
        request.getfixturevalue("simulated")
    return lambda: records_fixtures.PLATFORMS[request.param](tmp_path)


@pytest.fixture(params=sorted(FEATURES))
def store(request: pytest.FixtureRequest, home: Path) -> Features:
    if request.param == "aws":
        request.getfixturevalue("simulated")
    return FEATURES[request.param](home)


@pytest.fixture(params=PLATFORMS)
def platform(request: Any, home: Path) -> DataPlatform:
    if request.param == "aws":
        request.getfixturevalue("aws")
    return PLATFORMS[request.param](home)
