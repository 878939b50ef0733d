"""The rows of a CSV or Parquet file as they stand there, batch by batch: nothing is understood yet."""

import codecs
import csv
import io
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from backtest.data.numbers import plain
from platforms.errors import Invalid

_PARQUET: Final = b"PAR1"
_EMPTY_LINE: Final = re.compile(rb"(?<=\n)\n")
_MOST_LOST: Final = 0.1
_GZIP: Final = b"\x1f\x8b"
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
        self.quoting = True
        """Whether a quote begins a value that may hold delimiters; a file with a stray quote is read without."""
        self._lines = 0
        self._sniffed = self._multiline = False
        if not path.is_file():
            raise Invalid(f"--data: {path} is not a file. Give the path of a CSV or Parquet file.")
        self.is_parquet = self._begins() == _PARQUET
        self.names: tuple[str, ...] = self._parquet_names() if self.is_parquet else self._csv_names()

    @property
    def decimal_comma(self) -> bool:
        return self.delimiter == ";"

    def batches(self) -> Iterator[dict[str, pa.Array]]:
        """Columns by name. Raises: Invalid."""
        self.rejected = 0
        try:
            for batch in self._parquet() if self.is_parquet else self._csv():
                yield {name: plain(column) for name, column in zip(self.names, batch.columns, strict=True)}
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise self._unreadable(error) from None

    def survey(self) -> None:
        """Look through the whole file once: how many lines there are, and whether all of it is UTF-8; if not, it is Latin-1."""
        if self.is_parquet or self.encoding != "utf8":
            return
        decoder: codecs.IncrementalDecoder = codecs.getincrementaldecoder("utf-8")()
        last = b"\n"
        with self._opened() as stream:
            while block := stream.read(_BLOCK):
                joined = last + block.replace(b"\r", b"")
                self._lines += joined.count(b"\n") - joined.startswith(b"\n") - len(_EMPTY_LINE.findall(joined))
                last = joined[-1:]
                try:
                    decoder.decode(block)
                except UnicodeDecodeError:
                    self.encoding, decoder = "latin1", codecs.getincrementaldecoder("latin1")()
        self._lines += last != b"\n"

    def swallowed(self, rows: int) -> bool:
        """Whether a quote that nobody closed has taken whole lines into one value."""
        lines = self._lines - 1 - self.rejected
        if self.is_parquet or not self.quoting or self._sniffed:
            return False
        return rows < (1 - _MOST_LOST) * lines if self._multiline else rows < lines

    def read_otherwise(self) -> bool:
        """Take line breaks into values, and if that was no help, quotes as any other sign; False where nothing is left to try."""
        if self.is_parquet or not self.quoting:
            return False
        self.quoting, self._multiline = not self._multiline, not self._multiline
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

    def _opened(self) -> pa.NativeFile:
        """The bytes, unpacked where they are gzip, whatever the file is called."""
        packed = self._begins().startswith(_GZIP)
        return pa.input_stream(str(self.path), compression="gzip" if packed else "detect")

    def _csv_names(self) -> tuple[str, ...]:
        text = self._head()
        lines = text.splitlines()
        self._skip = next((at for at, line in enumerate(lines) if line.strip(" \t,;|")), None)
        if self._skip is None:
            raise Invalid(f"--data: {self.path} is empty. The first line should name the columns.")
        header = lines[self._skip]
        self.delimiter = max(_DELIMITERS, key=header.count)
        self._sniffed = self._multiline = _has_long_values(lines[self._skip :], self.delimiter)
        return _distinct(next(csv.reader(io.StringIO(header), delimiter=self.delimiter)))

    def _head(self) -> str:
        try:
            with self._opened() as stream:
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
        parsing = pa_csv.ParseOptions(
            delimiter=self.delimiter,
            quote_char='"' if self.quoting else False,
            newlines_in_values=self._multiline and self.quoting,
            invalid_row_handler=self._reject,
        )
        converting = pa_csv.ConvertOptions(column_types=dict.fromkeys(self.names, pa.string()), strings_can_be_null=False)
        with self._opened() as stream:
            yield from pa_csv.open_csv(stream, reading, parsing, converting)

    def _reject(self, _row: object) -> str:
        self.rejected += 1
        return "skip"

    def _unreadable(self, error: Exception) -> Invalid:
        kind = "Parquet" if self._looks_like_parquet() else "CSV"
        return Invalid(f"--data: {self.path} can't be read as {kind}: {str(error).splitlines()[0][:300]}. Write it anew.")

    def _looks_like_parquet(self) -> bool:
        return getattr(self, "is_parquet", self.path.suffix in (".parquet", ".pq"))


def _has_long_values(lines: Sequence[str], delimiter: str) -> bool:
    """Whether values with line breaks are how the file is: rows that have them are as wide as the header, early and often."""
    reader = csv.reader(lines, delimiter=delimiter)
    rows: list[tuple[int, int]] = []
    try:
        rows.extend((len(row), reader.line_num) for row in reader)
    except csv.Error:
        return False
    steps = [(width, line - before) for (_, before), (width, line) in pairwise(rows[:-1])]
    long = [width == rows[0][0] for width, step in steps if step > 1 and width]
    return bool(long) and all(long)


def _distinct(names: list[str]) -> tuple[str, ...]:
    """Column names without blanks around; one that is empty or comes again gets a number."""
    found: list[str] = []
    for at, name in enumerate(names, start=1):
        clean = name.strip().strip("\ufeff\"'").strip() or f"column {at}"
        found.append(clean if clean not in found else f"{clean}.{at}")
    return tuple(found)
