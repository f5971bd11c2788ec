"""A log file of lines, such as the access log.

Lines are gathered and written by a thread: a log that cannot be written never delays a request. What is lost for
that is counted, in the application log.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from pkgd.blocking import Blocking

__all__ = ["FLUSH_BYTES", "FLUSH_SECONDS", "MAX_BACKLOG", "LogFile"]

log = Logger()

FLUSH_SECONDS = 0.5
FLUSH_BYTES = 64 * 1024
# Beyond this the disk does not keep up: lines are counted instead of kept.
MAX_BACKLOG = 16 << 20


class LogFile:
    """Writes to `path`, `-` being standard output; `path` None writes nothing.

    :param title: what the application log calls it.
    :param write: as `os.write`.
    """

    def __init__(
        self,
        clock: IReactorTime,
        blocking: Blocking,
        path: str | None,
        title: str,
        write: Callable[[int, memoryview], int] = os.write,
    ) -> None:
        self._clock = clock
        self._blocking = blocking
        self._path = path
        self._title = title
        self._write_to = write
        self._fd: int | None = None
        # Held while the descriptor is used or changed: a closed one's number may soon be another file's.
        self._using = threading.Lock()
        self._lines: list[str] = []
        self._size = 0
        self._dropped = 0
        self._writing = False
        # Whether the file ends in the middle of a line.
        self._torn = False
        self._scheduled: Any = None

    @property
    def is_open(self) -> bool:
        """Whether lines are written."""
        return self._fd is not None

    def open(self) -> None:
        """Open the file. Blocks.

        :raises OSError: if it cannot be opened.
        """
        if self._path is not None:
            self._fd = 1 if self._path == "-" else _open(self._path)

    def reopen(self) -> None:
        """Open the file anew, after a rotation. Blocks."""
        with self._using:
            if self._path not in (None, "-") and self._fd is not None:
                old, self._fd = self._fd, _open(str(self._path))
                self._torn = False
                os.close(old)

    def append(self, line: str) -> None:
        """Write a line, with its newline, soon."""
        if self._fd is None:
            return
        if self._size > MAX_BACKLOG:
            self._dropped += 1
            return
        self._lines.append(line)
        self._size += len(line)
        if self._size >= FLUSH_BYTES:
            self._flush()
        elif self._scheduled is None:
            self._scheduled = self._clock.callLater(FLUSH_SECONDS, self._flush)

    def close(self) -> None:
        """Write what is left, and close. Blocks."""
        if self._scheduled is not None:
            self._scheduled.cancel()
            self._scheduled = None
        try:
            self._write(self._take())
        except OSError as error:
            log.error("the end of the {title} could not be written: {reason}", title=self._title, reason=error)
        with self._using:
            if self._fd not in (None, 1):
                os.close(self._fd)
            self._fd = None

    def _take(self) -> bytes:
        data = "".join(self._lines).encode("utf-8", "backslashreplace")
        self._lines = []
        self._size = 0
        return data

    def _flush(self) -> None:
        if self._scheduled is not None and self._scheduled.active():
            self._scheduled.cancel()
        self._scheduled = None
        if self._writing or self._fd is None or not self._lines:
            return
        self._writing = True
        count = len(self._lines)
        self._blocking.disk(self._write, self._take()).addBoth(self._written, count)

    def _write(self, data: bytes) -> None:
        """Write to whatever file is the log by now. Blocks."""
        with self._using:
            view = memoryview(b"\n" + data if self._torn and data else data)
            while view and self._fd is not None:
                count = self._write_to(self._fd, view)
                self._torn = view[count - 1] != 0x0A
                view = view[count:]

    def _written(self, result: object, count: int) -> None:
        self._writing = False
        if self._dropped:
            log.warn(
                "{count} {title} lines were dropped: the log could not be written fast enough",
                count=self._dropped,
                title=self._title,
            )
            self._dropped = 0
        if isinstance(result, Failure):
            log.error(
                "the {title} could not be written, and {count} lines of it are lost: {reason}",
                title=self._title,
                count=count,
                reason=result.value,
            )
        elif self._lines:
            self._flush()


def _open(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
