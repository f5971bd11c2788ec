"""The command: a list in, a report out, an exit status."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import closing
from threading import Event
from typing import BinaryIO, TextIO

from attrs import frozen

from pkgd.errors import ConfigError
from pkgd.prefetch.images import Platform, parse_list
from pkgd.prefetch.report import Bar, JsonLines, Lines, Report, Result
from pkgd.prefetch.source import NotFetched, Source, one_line
from pkgd.prefetch.transport import Transport
from pkgd.prefetch.walk import Walk

__all__ = ["Order", "Streams", "prefetch", "read_list"]


@frozen
class Streams:
    """Where a command reads and writes; a process may have been started without an input."""

    input: BinaryIO | None
    output: TextIO
    errors: TextIO

    @classmethod
    def standard(cls) -> Streams:
        """Those of the process."""
        return cls(getattr(sys.stdin, "buffer", None), sys.stdout, sys.stderr)


@frozen
class Order:
    """What is asked for, besides the list; `server` is only a name here."""

    server: str
    platforms: Sequence[Platform] = ()
    jobs: int = 4
    as_json: bool = False


class _Counted:
    """A report that also counts what is not complete."""

    def __init__(self, report: Report) -> None:
        self._report = report
        self.planned, self.received, self.close = report.planned, report.received, report.close
        self.failed = 0

    def finished(self, result: Result) -> None:
        """See `Report`."""
        self.failed += bool(result.errors)
        self._report.finished(result)


def read_list(path: str, streams: Streams) -> list[str]:
    """The lines of a file, or of the input if it is `-`.

    :raises ConfigError: if it cannot be read.
    """
    try:
        if path == "-":
            data = b"" if streams.input is None else streams.input.read()
        else:
            with open(path, "rb") as file:
                data = file.read()
    except OSError as error:
        raise ConfigError("LIST", f"{path}: {error.strerror}") from error
    return data.decode("utf-8-sig", "replace").splitlines()


def prefetch(lines: Sequence[str], transport: Transport, order: Order, streams: Streams) -> int:
    """Fetch every image of a list; returns the exit status: 0 all are complete, 1 some are not.

    :raises ConfigError: if no registry answers at all.
    :raises BrokenPipeError: if nobody reads on.
    """
    source = Source(transport, Event().wait)
    try:
        source.ping()
    except NotFetched as error:
        raise ConfigError(order.server, str(error)) from error
    images, unreadable = parse_list(lines)
    report = _Counted(_report(order.as_json, len(images) + len(unreadable), streams))
    with closing(report):
        for line in unreadable:
            report.finished(Result(one_line(line.text), errors=(f"line {line.number}: {line.reason}",)))
        Walk(source, report, order.platforms, order.jobs).run(images)
    if report.failed:
        print(f"pkgd: {report.failed} of {len(images) + len(unreadable)} images are not complete", file=streams.errors)
    return 1 if report.failed else 0


def _report(as_json: bool, images: int, streams: Streams) -> Report:
    if as_json:
        return JsonLines(streams.output)
    return Bar(streams.output, streams.errors, images) if streams.errors.isatty() else Lines(streams.output)
