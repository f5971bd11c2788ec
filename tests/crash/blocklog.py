"""What a disk was told, in order: every write and every flush. A record is one byte of kind, offset, length, data."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_HEAD = struct.Struct("<cQI")
_WRITE, _FLUSH = b"w", b"f"


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes that reached the disk's cache; they are safe only after the next flush."""

    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Flush:
    """The cache was written out."""


Record = Write | Flush


class LogWriter:
    """Appends records to a file."""

    def __init__(self, path: Path) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def append(self, record: Record) -> None:
        """Write one record."""
        match record:
            case Write(offset, data):
                os.write(self._fd, _HEAD.pack(_WRITE, offset, len(data)) + data)
            case Flush():
                os.write(self._fd, _HEAD.pack(_FLUSH, 0, 0))


def read_log(path: Path) -> Iterator[Record]:
    """The records of a file."""
    with path.open("rb") as log:
        while head := log.read(_HEAD.size):
            kind, offset, length = _HEAD.unpack(head)
            yield Write(offset, log.read(length)) if kind == _WRITE else Flush()
