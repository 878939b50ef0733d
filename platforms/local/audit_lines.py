"""Where each line of the chain begins, so that one record, or only what is new, is read without reading the rest."""

from pathlib import Path
from threading import Lock

from platforms.files import platform_errors


class AuditLines:
    """Offsets of the whole lines, extended by what was appended since; a file that was replaced is begun anew."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = Lock()
        self._inode = 0
        self._ends: list[int] = []

    def count(self) -> int:
        """Whole lines now."""
        with self._lock:
            self._extend()
            return len(self._ends)

    def line(self, number: int) -> bytes | None:
        """The line, from 1, newline included; None where there is none."""
        with self._lock:
            self._extend()
            if not 1 <= number <= len(self._ends):
                return None
            start = self._ends[number - 2] if number > 1 else 0
            end = self._ends[number - 1]
        with platform_errors(self._path), self._path.open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def _extend(self) -> None:
        with platform_errors(self._path):
            if not self._path.exists():
                self._inode, self._ends = 0, []
                return
            with self._path.open("rb") as file:
                now = self._path.stat()
                if now.st_ino != self._inode or (self._ends and now.st_size < self._ends[-1]):
                    self._inode, self._ends = now.st_ino, []
                end = self._ends[-1] if self._ends else 0
                file.seek(end)
                for line in file:
                    if not line.endswith(b"\n"):
                        return
                    end += len(line)
                    self._ends.append(end)
