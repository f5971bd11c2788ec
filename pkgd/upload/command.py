"""The command: files in, a line for each out, an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from http.client import HTTPException
from typing import BinaryIO, Protocol, TextIO

from attrs import frozen

from pkgd import __version__
from pkgd.errors import ConfigError
from pkgd.prefetch.transport import Answer, Unreachable
from pkgd.upload.report import Bar, Lines, Report
from pkgd.upload.target import Target

__all__ = ["Streams", "Transport", "upload"]

# How much is read from a file, and handed to the connection, at once.
PIECE = 256 * 1024
# What of an answer is shown.
_MAX_ANSWER = 4096


class Transport(Protocol):
    """An exchange with a body; `pkgd.prefetch.transport.HttpTransport` is one."""

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: Iterable[bytes] | None) -> Answer:
        """Method, path, headers and the pieces of the body, to an answer whose head has arrived."""


@frozen
class Streams:
    """Where a command writes."""

    output: TextIO
    errors: TextIO

    @classmethod
    def standard(cls) -> Streams:
        """Those of the process."""
        return cls(sys.stdout, sys.stderr)


def upload(paths: Sequence[str], target: Target, transport: Transport, streams: Streams) -> int:
    """Put every file into a repository; returns the exit status: 0 all are there, 1 some are not.

    :raises ConfigError: if a file cannot be read, before anything is sent.
    """
    sizes = {path: _size(path) for path in paths}
    report: Report = Lines(streams.output)
    if streams.errors.isatty():
        report = Bar(streams.output, streams.errors, sum(sizes.values()))
    failed = 0
    with closing(report):
        for path in target.order(list(sizes)):
            reason = _put(path, sizes[path], target, transport, report)
            failed += reason is not None
    if failed:
        print(f"pkgd: {failed} of {len(sizes)} files are not in {target}", file=streams.errors)
    return 1 if failed else 0


def _size(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return file.seek(0, os.SEEK_END)
    except OSError as error:
        raise ConfigError("FILE", f"{path}: {error.strerror}") from error


def _put(path: str, size: int, target: Target, transport: Transport, report: Report) -> str | None:
    """Send one file; returns why that failed, or None."""
    name = os.path.basename(path)
    headers = {"Content-Length": str(size), "User-Agent": f"pkgd-upload/{__version__}"}
    reason: str | None = None
    try:
        with open(path, "rb") as file:
            answer = transport("PUT", target.path(name), headers, _pieces(file, report))
        with closing(answer):
            text = answer.read(_MAX_ANSWER).decode("utf-8", "replace").strip()
        if not 200 <= answer.status < 300:
            reason = f"{answer.status} {text}"
    except Unreachable as error:
        reason = f"no connection: {error}"
    except (OSError, HTTPException) as error:
        reason = str(error) or type(error).__name__
    report.finished(f"ok {name}: {_printable(text)}" if reason is None else f"failed {name}: {_printable(reason)}")
    return reason


def _pieces(file: BinaryIO, report: Report) -> Iterator[bytes]:
    while piece := file.read(PIECE):
        yield piece
        report.sent(len(piece))


def _printable(text: str) -> str:
    """What a server says, without what would move the cursor."""
    return "".join(one if one.isprintable() or one == "\n" else "?" for one in text)
