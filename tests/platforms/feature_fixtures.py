"""Feature stores under test, and the way in which rows get into each."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from platforms.aws.feature_store import AwsFeatureStore
from platforms.aws.objects import Objects
from platforms.local.feature_store import LocalFeatureStore
from platforms.ports import FeatureStore
from tests.aws.offline_store import OfflineStore
from tests.aws.places import account_at


@dataclass(frozen=True)
class Features:
    features: FeatureStore
    append: Callable[[str, pa.Table], Any]


def local_features(home: Path) -> Features:
    store = LocalFeatureStore(home)
    return Features(store, store.append)


def aws_features(home: Path) -> Features:
    aws = account_at(home)
    return Features(AwsFeatureStore(aws, Objects(aws)), OfflineStore(aws).append)


FEATURES: dict[str, Callable[[Path], Features]] = {"local": local_features, "aws": aws_features}
