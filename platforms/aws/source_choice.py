"""Which source an endpoint's rows come from, by what its policy says."""

from contracts.snapshot import DataPolicy
from platforms.aws.athena import Athena
from platforms.aws.calls import Aws
from platforms.aws.feature_sources import AthenaSource, Extent, FilesSource, Source
from platforms.aws.objects import Objects
from platforms.aws.online_source import OnlineSource
from platforms.aws.online_store import OnlineLabels
from platforms.aws.table_shape import shape_of
from platforms.tabular.feature_query import check_names


class Sources:
    def __init__(self, aws: Aws, objects: Objects) -> None:
        self._aws = aws
        self._objects = objects
        self._athena = Athena(aws, objects)
        self._extents: dict[str, Extent] = {}

    def of(self, data: DataPolicy, endpoint: str = "") -> Source:
        """Raises: NotFound (no such group, table or column), Invalid."""
        source = data.source or ""
        if source.startswith("s3://"):
            check_names(data)
            return FilesSource(self._aws, source, self._extents)
        if source.startswith("online:"):
            check_names(data)
            labels = OnlineLabels(self._aws, source.removeprefix("online:"), data)
            return OnlineSource(self._objects, labels, endpoint, source)
        return AthenaSource(self._athena, self._objects, shape_of(self._aws, data), data)
