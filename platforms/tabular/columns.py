"""The columns that a feature table keeps for itself."""

from typing import Final

import pyarrow as pa

ID: Final = "id"
EVENT_TIME: Final = "event_time"
LABEL_TIME: Final = "label_time"
VERSION: Final = "_version"
RESERVED: Final = (ID, EVENT_TIME, LABEL_TIME, VERSION)
"""Names that no feature and no label can have, in any case."""
TIMESTAMP: Final = pa.timestamp("us", tz="UTC")
