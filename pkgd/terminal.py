"""What the users of commands see: where it is written, a bar on a terminal, and lists that are not too long."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from attrs import frozen

from pkgd.progress import Silent

__all__ = ["Bar", "Streams", "bar_on", "listing", "write_to_nobody"]

_SHOWN = 20


@frozen
class Streams:
    """Where a command writes."""

    output: TextIO
    errors: TextIO

    @classmethod
    def standard(cls) -> Streams:
        """Those of the process."""
        return cls(sys.stdout, sys.stderr)


class Bar(Silent):
    """Implements `Progress`: a bar for each thing that begins.

    :param is_of_bytes: whether its steps are bytes.
    """

    def __init__(self, terminal: TextIO, is_of_bytes: bool = False) -> None:
        self._terminal = terminal
        self._shown: dict[str, Any] = {"unit": "B", "unit_scale": True} if is_of_bytes else {"unit": ""}
        self._bar: Any = None

    def begin(self, what: str, total: int) -> None:
        """See `Progress.begin`."""
        from tqdm import tqdm

        self.close()
        shown = {**self._shown, "dynamic_ncols": True, "leave": False}
        self._bar = tqdm(desc=what, total=total or None, file=self._terminal, **shown)

    def advance(self, count: int = 1) -> None:
        """See `Progress.advance`."""
        self._bar.update(count)

    def close(self) -> None:
        """Nothing more happens."""
        if self._bar is not None:
            self._bar.close()


def bar_on(terminal: TextIO, is_of_bytes: bool = False) -> Silent:
    """A bar, if somebody looks; to be closed."""
    return Bar(terminal, is_of_bytes) if terminal.isatty() else Silent()


def listing(title: str, found: Sequence[str]) -> Iterator[str]:
    """The lines of a list, of which JSON has all; nothing if it is empty."""
    if found:
        yield f"{title}: {len(found)}"
        yield from (f"  {one}" for one in found[:_SHOWN])
        if len(found) > _SHOWN:
            yield f"  … and {len(found) - _SHOWN} more (--json has all)"


def write_to_nobody() -> None:
    """Let what is still buffered go nowhere: the interpreter flushes it at its end, and would complain once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    try:
        sys.stderr.flush()
    except BrokenPipeError:
        os.dup2(nowhere, sys.stderr.fileno())
    os.close(nowhere)
