"""The command: files in, a line for each out, an exit status."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from functools import partial
from http.client import HTTPException
from queue import Empty, SimpleQueue
from threading import Thread
from typing import BinaryIO, Protocol, TypeVar, cast

from pkgd import __version__
from pkgd.errors import ConfigError
from pkgd.prefetch.transport import Answer, Unreachable
from pkgd.terminal import Streams
from pkgd.upload.report import Bar, Lines, Report
from pkgd.upload.target import Target

__all__ = ["Transport", "upload"]

# How much is read from a file, and handed to the connection, at once.
PIECE = 256 * 1024
# What of an answer is shown.
_MAX_ANSWER = 4096

T = TypeVar("T")


class Transport(Protocol):
    """An exchange with a body; `pkgd.prefetch.transport.HttpTransport` is one."""

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: Iterable[bytes] | None) -> Answer:
        """Method, path, headers and the pieces of the body, to an answer whose head has arrived."""


def upload(paths: Sequence[str], target: Target, transport: Transport, streams: Streams, jobs: int) -> int:
    """Put every file into a repository; returns the exit status: 0 all are there, 1 some are not.

    :param jobs: how many are sent at the same time; those that arrive together are published together.

    :raises ConfigError: if a file cannot be read, before anything is sent.
    """
    sizes = {path: _size(path) for path in paths}
    report: Report = Lines(streams.output)
    if streams.errors.isatty():
        report = Bar(streams.output, streams.errors, sum(sizes.values()))
    failed = 0
    with closing(report):
        for group in target.groups(list(sizes)):
            put = partial(_put, sizes, target, transport, report)
            failed += sum(reason is not None for reason in _at_once(jobs, put, group))
    if failed:
        print(f"pkgd: {failed} of {len(sizes)} files are not in {target}", file=streams.errors)
    return 1 if failed else 0


def _size(path: str) -> int:
    try:
        with open(path, "rb") as file:
            return file.seek(0, os.SEEK_END)
    except OSError as error:
        raise ConfigError("FILE", f"{path}: {error.strerror}") from error


def _at_once(jobs: int, call: Callable[[str], T], paths: Sequence[str]) -> Iterator[T]:
    """What calls return, as they end. Threads that still run when this is interrupted do not keep the process."""
    waiting: SimpleQueue[str] = SimpleQueue()
    ended: SimpleQueue[tuple[T, None] | tuple[None, BaseException]] = SimpleQueue()
    for path in paths:
        waiting.put(path)

    def work() -> None:
        with suppress(Empty):
            while True:
                path = waiting.get_nowait()
                try:
                    ended.put((call(path), None))
                except BaseException as error:
                    ended.put((None, error))

    for _ in range(min(jobs, len(paths))):
        Thread(target=work, daemon=True).start()
    for _ in paths:
        result, error = ended.get()
        if error is not None:
            raise error
        yield cast("T", result)


def _put(sizes: Mapping[str, int], target: Target, transport: Transport, report: Report, path: str) -> str | None:
    """Send one file; returns why that failed, or None."""
    name = os.path.basename(path)
    headers = {"Content-Length": str(sizes[path]), "User-Agent": f"pkgd-upload/{__version__}"}
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
