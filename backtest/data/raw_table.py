"""The rows of a CSV or Parquet file as they stand there, batch by batch: nothing is understood yet."""

import codecs
import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from backtest.data.numbers import plain
from platforms.errors import Invalid

_PARQUET: Final = b"PAR1"
_HEAD: Final = 1 << 18
_BLOCK: Final = 1 << 22
_BATCH: Final = 65_536
_DELIMITERS: Final = ",;\t|"


class RawTable:
    """A file that can be read from its beginning, more than once."""

    def __init__(self, path: Path) -> None:
        """Raises: Invalid (no file, empty, unreadable)."""
        self.path = path
        self.rejected = 0
        """Lines with more or fewer columns than the header."""
        self.encoding = "utf8"
        self.delimiter = ""
        if not path.is_file():
            raise Invalid(f"--data: {path} is not a file. Give the path of a CSV or Parquet file.")
        self.is_parquet = self._begins() == _PARQUET
        self.names: tuple[str, ...] = self._parquet_names() if self.is_parquet else self._csv_names()

    @property
    def decimal_comma(self) -> bool:
        return self.delimiter == ";"

    def batches(self) -> Iterator[dict[str, pa.Array]]:
        """Columns by name; text of another encoding than UTF-8 is read as Windows-1252. Raises: Invalid."""
        self.rejected = 0
        try:
            for batch in self._parquet() if self.is_parquet else self._csv():
                yield {name: plain(column) for name, column in zip(self.names, batch.columns, strict=True)}
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from None

    def text_is_sound(self) -> bool:
        """Whether the whole file is text in the present encoding; if not, the next reading takes it as Windows-1252."""
        if self.is_parquet or self.encoding != "utf8":
            return True
        decoder = codecs.getincrementaldecoder("utf-8")()
        with pa.input_stream(str(self.path), compression="detect") as stream:
            try:
                while block := stream.read(_BLOCK):
                    decoder.decode(block)
                decoder.decode(b"", final=True)
            except UnicodeDecodeError:
                self.encoding = "cp1252"
                return False
        return True

    def _begins(self) -> bytes:
        try:
            with self.path.open("rb") as file:
                return file.read(len(_PARQUET))
        except OSError as error:
            raise self._unreadable(error) from None

    def _parquet_names(self) -> tuple[str, ...]:
        try:
            with pq.ParquetFile(self.path) as file:
                return tuple(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None

    def _parquet(self) -> Iterator[pa.RecordBatch]:
        with pq.ParquetFile(self.path) as file:
            yield from file.iter_batches(_BATCH)

    def _csv_names(self) -> tuple[str, ...]:
        text = self._head()
        lines = text.splitlines()
        self._skip = next((at for at, line in enumerate(lines) if line.strip(" \t,;|")), None)
        if self._skip is None:
            raise Invalid(f"--data: {self.path} is empty. The first line should name the columns.")
        header = lines[self._skip]
        self.delimiter = max(_DELIMITERS, key=header.count)
        return _distinct(next(csv.reader(io.StringIO(header), delimiter=self.delimiter)))

    def _head(self) -> str:
        try:
            with pa.input_stream(str(self.path), compression="detect") as stream:
                head = stream.read(_HEAD)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from None
        if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.encoding = "utf16"
            return str(head[: len(head) // 2 * 2].decode("utf-16", errors="replace"))
        return str(head.decode("utf-8-sig", errors="replace"))

    def _csv(self) -> Iterator[pa.RecordBatch]:
        reading = pa_csv.ReadOptions(
            column_names=self.names, skip_rows=(self._skip or 0) + 1, block_size=_BLOCK, encoding=self.encoding
        )
        parsing = pa_csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True, invalid_row_handler=self._reject)
        converting = pa_csv.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False)
        with pa.input_stream(str(self.path), compression="detect") as stream:
            yield from pa_csv.open_csv(stream, reading, parsing, converting)

    def _reject(self, _row: object) -> str:
        self.rejected += 1
        return "skip"

    def _unreadable(self, error: Exception) -> Invalid:
        kind = "Parquet" if self._looks_like_parquet() else "CSV"
        return Invalid(f"--data: {self.path} can't be read as {kind}: {str(error).splitlines()[0][:300]}. Write it anew.")

    def _looks_like_parquet(self) -> bool:
        return getattr(self, "is_parquet", self.path.suffix in (".parquet", ".pq"))


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Column names without blanks around; one that is empty or comes again gets a number."""
    found: list[str] = []
    for at, name in enumerate(names, start=1):
        clean = name.strip().strip("\ufeff\"'").strip() or f"column {at}"
        found.append(clean if clean not in found else f"{clean}.{at}")
    return tuple(found)
