"""Labels in a feature group's online store: the newest version of each record, and nothing older."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from contracts.base import Utc
from contracts.snapshot import DataPolicy
from platforms.aws.calls import Aws
from platforms.aws.table_shape import group_of
from platforms.errors import Corrupt, Invalid, NotFound, Unavailable
from platforms.tabular.columns import LABEL_TIME

_AT_ONCE: Final = 100
"""Identifiers that one BatchGetRecord takes."""
_TRIES: Final = 5


class OnlineLabels:
    """Of one group, by the id of its records."""

    def __init__(self, aws: Aws, group: str, data: DataPolicy) -> None:
        """Raises: NotFound (no such group or column), Invalid (it has no online store)."""
        self._aws = aws
        self._group = group
        self._label = data.label
        found = group_of(aws, group, data)
        names = [str(each["FeatureName"]) for each in found["FeatureDefinitions"]]
        if not (found.get("OnlineStoreConfig") or {}).get("EnableOnlineStore"):
            raise Invalid(f"feature group {group!r} has no online store: name another data.source")
        if data.label not in names:
            raise NotFound(f"feature group {group!r} has no column {data.label}; there are: {', '.join(names)}")
        self._time = LABEL_TIME if LABEL_TIME in names else str(found["EventTimeFeatureName"])

    def known(self, ids: Sequence[str], known_at: Utc) -> dict[str, tuple[datetime, float]]:
        """Time and label of each id whose label had arrived by then. An older version that a newer one has replaced is not there.

        Raises: Unavailable, Corrupt (a record holds no number or no time).
        """
        found = {}
        for start in range(0, len(ids), _AT_ONCE):
            for id_, record in self._records(list(ids[start : start + _AT_ONCE])):
                if record.get(self._label) is not None:
                    moment, label = self._moment(id_, record), self._number(id_, record)
                    if moment <= known_at:
                        found[id_] = moment, label
        return found

    def _records(self, ids: list[str]) -> Iterator[tuple[str, dict[str, str]]]:
        left = ids
        for _ in range(_TRIES):
            asked = {
                "FeatureGroupName": self._group,
                "RecordIdentifiersValueAsString": left,
                "FeatureNames": list(dict.fromkeys((self._label, self._time))),
            }
            answer = self._aws.call("sagemaker-featurestore-runtime", "batch_get_record", Identifiers=[asked])
            for each in answer["Records"]:
                yield each["RecordIdentifierValueAsString"], {f["FeatureName"]: f["ValueAsString"] for f in each["Record"]}
            self._refuse(answer["Errors"])
            left = [id_ for each in answer["UnprocessedIdentifiers"] for id_ in each["RecordIdentifiersValueAsString"]]
            if not left:
                return
        raise Unavailable(f"feature group {self._group!r}: {len(left)} records were not read in {_TRIES} tries. Try again")

    def _refuse(self, errors: Sequence[dict[str, Any]]) -> None:
        if errors:
            said = f"{errors[0].get('ErrorCode')}: {errors[0].get('ErrorMessage')}"
            raise Unavailable(f"feature group {self._group!r}: {len(errors)} records can't be read, the first for {said}"[:500])

    def _moment(self, id_: str, record: dict[str, str]) -> datetime:
        text = record.get(self._time, "")
        try:
            if text.replace(".", "", 1).isdigit():
                return datetime.fromtimestamp(float(text), UTC)
            return datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise Corrupt(f"record {id_!r} of {self._group!r}: {self._time} is no moment: {text[:80]!r}") from None

    def _number(self, id_: str, record: dict[str, str]) -> float:
        try:
            return float(record[self._label])
        except ValueError:
            raise Corrupt(
                f"record {id_!r} of {self._group!r}: {self._label} is no number: {record[self._label][:80]!r}"
            ) from None
