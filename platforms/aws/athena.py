"""Queries in Athena: a result is unloaded once for a key, however often it is asked for, and its cost is known.

An unload is adopted by its ClientRequestToken, which is made from key, query and attempt: who was killed while it ran waits for
the same execution. A failed execution leaves files that nobody removes, so every attempt unloads to a prefix of its own.
"""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final
from uuid import uuid4

from platforms.aws.calls import Aws
from platforms.aws.objects import Objects
from platforms.errors import Corrupt, Invalid, NotFound, PlatformError, Unavailable
from platforms.patience import tick

_FIRST_PAUSE: Final = 0.5
_LONGEST_PAUSE: Final = 5.0
_PATIENCE: Final = 45 * 60.0
"""Seconds; Athena ends a query after 30 minutes unless the account's quota says otherwise."""
_LEAST_BYTES: Final = 10 * 2**20
"""Billed at least."""
_TERABYTE: Final = 2**40
_ABSENT: Final = re.compile(r"TABLE_NOT_FOUND|SCHEMA_NOT_FOUND|COLUMN_NOT_FOUND|EntityNotFound|does not exist")
_WRONG: Final = re.compile(r"SYNTAX_ERROR|TYPE_MISMATCH|FUNCTION_NOT_FOUND|INVALID_(CAST|FUNCTION)_ARGUMENT|NOT_SUPPORTED")
_BROKEN: Final = re.compile(
    r"HIVE_BAD_DATA|HIVE_CANNOT_OPEN_SPLIT|HIVE_CURSOR_ERROR|HIVE_PARTITION_SCHEMA_MISMATCH|ICEBERG_BAD_DATA"
)
_RIGHTS: Final = re.compile(r"access denied|insufficient .*permission|not authorized to perform", re.IGNORECASE)


@dataclass(frozen=True)
class Ended:
    """An execution that succeeded."""

    id: str
    scanned_bytes: int
    cost_usd: float
    folder: str = ""
    """Where an unload wrote, as a key."""


class Athena:
    def __init__(self, aws: Aws, objects: Objects) -> None:
        self._aws = aws
        self._objects = objects

    def unload(self, key: str, select: str, folder: str) -> Ended:
        """Run the query into Parquet under `folder`, once for this key: the newest attempt is adopted, a failed one is followed
        by one more.

        Raises: NotFound, Invalid, Corrupt (as the query's failure says), Unavailable (try again).
        """
        attempt = sum(1 for _ in self._objects.keys(f"{folder}attempts/"))
        if attempt:
            try:
                return self._unloaded(key, select, folder, attempt)
            except Unavailable as error:
                if not isinstance(error, _Failed):
                    raise
        self._objects.create(f"{folder}attempts/{attempt + 1:04d}", b"")
        return self._unloaded(key, select, folder, attempt + 1)

    def rows(self, select: str) -> list[list[str | None]]:
        """The rows of a small result, as text. Raises: as `unload`."""
        id_ = self._start(select, str(uuid4()), "queries/")
        self._ended(id_)
        pages = self._aws.pages("athena", "get_query_results", QueryExecutionId=id_)
        found = [[cell.get("VarCharValue") for cell in row["Data"]] for page in pages for row in page["ResultSet"]["Rows"]]
        self._objects.remove_all(f"queries/{id_}")
        return found[1:]

    def _unloaded(self, key: str, select: str, folder: str, attempt: int) -> Ended:
        token = sha256(f"{key}\x1f{select}\x1f{attempt}".encode(errors="surrogatepass")).hexdigest()
        to = f"{folder}unload-{token[:16]}/"
        text = f"UNLOAD (\n{select}\n) TO '{self._objects.uri(to)}' WITH (format = 'PARQUET', compression = 'ZSTD')"
        id_ = self._start(text, token, f"{folder}athena/")
        statistics = self._ended(id_)["Statistics"]
        scanned = int(statistics.get("DataScannedInBytes", 0))
        return Ended(id_, scanned, self.cost(scanned), to)

    def cost(self, scanned: int) -> float:
        """In dollars, by the price of the settings."""
        return round(max(scanned, _LEAST_BYTES) / _TERABYTE * self._aws.settings.athena_price_per_tb, 9)

    def _start(self, text: str, token: str, output: str) -> str:
        answer = self._aws.call(
            "athena",
            "start_query_execution",
            QueryString=text,
            ClientRequestToken=token,
            WorkGroup=self._aws.settings.athena_workgroup,
            ResultConfiguration={"OutputLocation": self._objects.uri(output), **self._encryption()},
        )
        return str(answer["QueryExecutionId"])

    def _encryption(self) -> dict[str, Any]:
        """Of results and of what is unloaded."""
        key = self._aws.settings.kms_key
        return {"EncryptionConfiguration": {"EncryptionOption": "SSE_KMS", "KmsKey": key}} if key else {}

    def _ended(self, id_: str) -> dict[str, Any]:
        """Wait for the execution. Raises: NotFound, Invalid, Corrupt, Unavailable."""
        until, pause = time.monotonic() + _PATIENCE, _FIRST_PAUSE
        while True:
            found: dict[str, Any] = self._aws.call("athena", "get_query_execution", QueryExecutionId=id_)["QueryExecution"]
            state = found["Status"]["State"]
            if state == "SUCCEEDED":
                return found
            if state in {"FAILED", "CANCELLED"}:
                raise failed(id_, found["Status"].get("StateChangeReason", state))
            if time.monotonic() > until:
                self._aws.call("athena", "stop_query_execution", QueryExecutionId=id_)
                raise _Failed(f"Athena query {id_} did not end within {_PATIENCE / 60:.0f} minutes and was stopped")
            tick()
            time.sleep(min(pause, self._aws.settings.poll_seconds))
            pause = min(pause * 1.5, _LONGEST_PAUSE)


class _Failed(Unavailable):
    """The execution is over and another attempt may succeed."""


def failed(id_: str, reason: str) -> PlatformError:
    """Why an execution failed, in our words."""
    said = f"Athena query {id_}: {reason[:500]}"
    if _RIGHTS.search(reason):
        return _Failed(f"{said}. Check the rights of the role that this process runs under, on the table and on its files")
    for pattern, kind in ((_ABSENT, NotFound), (_WRONG, Invalid), (_BROKEN, Corrupt)):
        if pattern.search(reason):
            return kind(said)
    return _Failed(said)


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))
