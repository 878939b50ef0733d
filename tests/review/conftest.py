"""One page for the tests that only look at it, and a fresh one for those that change something."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.review.page_harness import Shown, shown


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shown]:
    with shown(tmp_path_factory.mktemp("page")) as found:
        yield found


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Shown]:
    with shown(tmp_path / "home", endpoints=11, incidents=6) as found:
        yield found
