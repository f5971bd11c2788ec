"""What the user sees: a line for each file, and on a terminal a bar over all bytes below them."""

from __future__ import annotations

from threading import Lock
from typing import Any, Protocol, TextIO

__all__ = ["Bar", "Lines", "Report"]


class Report(Protocol):
    """Is told what happens, by several threads."""

    def sent(self, count: int) -> None:
        """So many more bytes have gone out; less than none if they go out anew."""

    def finished(self, line: str) -> None:
        """A file is done with."""

    def close(self) -> None:
        """Nothing more happens."""


class Lines:
    """Lines only."""

    def __init__(self, output: TextIO) -> None:
        self._output = output
        self._lock = Lock()

    def sent(self, count: int) -> None:
        """See `Report`."""

    def finished(self, line: str) -> None:
        """See `Report`."""
        with self._lock:
            print(line, file=self._output, flush=True)

    def close(self) -> None:
        """See `Report`."""


class Bar(Lines):
    """The lines, and below them a bar.

    :param size: of all files.
    """

    def __init__(self, output: TextIO, terminal: TextIO, size: int) -> None:
        from tqdm import tqdm

        super().__init__(output)
        self._bar: Any = tqdm(
            total=size, unit="B", unit_scale=True, unit_divisor=1024, file=terminal, dynamic_ncols=True, leave=False
        )

    def sent(self, count: int) -> None:
        """See `Report`."""
        with self._lock:
            self._bar.update(count)

    def finished(self, line: str) -> None:
        """See `Report`."""
        with self._lock:
            self._bar.write(line, file=self._output)
            self._output.flush()

    def close(self) -> None:
        """See `Report`."""
        self._bar.close()
