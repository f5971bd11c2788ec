"""The access log: exact Apache combined format, one line per request, refused ones included.

    %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"

`%h` is the client: where the peer is a trusted proxy, the right-most X-Forwarded-For entry that is
not one itself. `%u` is the user, if the gate knows one. `%b` counts the body bytes sent, `-` for none.
A successful probe is not logged.
Lines are gathered and written by a thread; a log that cannot be written never delays a request.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from pkgd.blocking import Blocking

if TYPE_CHECKING:
    from pkgd.web.request import Request

__all__ = ["AccessLog", "Network", "client_address", "format_line", "is_trusted"]

log = Logger()

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

FLUSH_SECONDS = 0.5
FLUSH_BYTES = 64 * 1024
# Beyond this the disk does not keep up: lines are counted instead of kept.
MAX_BACKLOG = 16 << 20
MAX_FIELD = 2048

_PROBES = frozenset([b"/health", b"/ready"])
_ESCAPED = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def client_address(peer: str, forwarded_for: str | None, trusted: Sequence[Network]) -> str:
    """Who the client is, walking X-Forwarded-For from the right through trusted proxies.

    An entry that is no address ends the walk: what stands left of it was written by anyone.
    """
    address = _parse_address(peer)
    if address is None:
        return peer
    entries = (forwarded_for or "").split(",")
    while entries and _is_trusted(address, trusted):
        entry = entries.pop()
        # The zone of an IPv6 address may be any text, and nobody's but the sender's own.
        further = None if "%" in entry else _parse_address(entry.strip())
        if further is None:
            break
        address = further
    return str(address)


def is_trusted(peer: str, trusted: Sequence[Network]) -> bool:
    """Whether a peer is a trusted proxy."""
    address = _parse_address(peer)
    return address is not None and _is_trusted(address, trusted)


def _parse_address(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)


def _field(value: bytes | None) -> str:
    """A header or request line, escaped as Apache does; `-` if absent."""
    return _escaped(value[:MAX_FIELD]) if value else "-"


@lru_cache(256)
def _escaped(value: bytes) -> str:
    """The escaping, remembered: clients repeat themselves."""
    return _ESCAPED.sub(_escape, value).decode("ascii")


def _escape(match: re.Match[bytes]) -> bytes:
    byte = match[0]
    return b"\\" + byte if byte in b'"\\' else b"\\x%02x" % byte[0]


def _user(name: str | None) -> str:
    """A user's name as one word: what is split at spaces must not fall apart."""
    return "-" if not name else _field(name.encode("utf-8", "replace")).replace(" ", "\\x20")


def format_line(client: str, user: str, stamp: str, request: Request) -> str:
    """One line in combined format, with its newline."""
    headers = request.head.headers
    return (
        f'{client} - {user} [{stamp}] "{_field(request.head.line)}" {request.status} {request.sent or "-"} '
        f'"{_field(headers.get(b"referer"))}" "{_field(headers.get(b"user-agent"))}"\n'
    )


class AccessLog:
    """Writes to `path`, `-` being standard output; `path` None writes nothing."""

    def __init__(self, clock: IReactorTime, blocking: Blocking, path: str | None, trusted: Sequence[Network]) -> None:
        self._clock = clock
        self._blocking = blocking
        self._path = path
        self._trusted = trusted
        self._fd: int | None = None
        # Held while the descriptor is used or changed: a closed one's number may soon be another file's.
        self._using = threading.Lock()
        self._lines: list[str] = []
        self._size = 0
        self._dropped = 0
        self._writing = False
        self._scheduled: Any = None
        self._stamp = (0, "")

    def open(self) -> None:
        """Open the file. Blocks.

        :raises OSError: if it cannot be opened.
        """
        if self._path is not None:
            self._fd = 1 if self._path == "-" else _open_log(self._path)

    def reopen(self) -> None:
        """Open the file anew, after a rotation. Blocks."""
        with self._using:
            if self._path not in (None, "-") and self._fd is not None:
                old, self._fd = self._fd, _open_log(str(self._path))
                os.close(old)

    def record(self, request: Request) -> None:
        """Note a finished request."""
        if self._fd is None or (request.path in _PROBES and request.status == 200):
            return
        if self._size > MAX_BACKLOG:
            self._dropped += 1
            return
        forwarded = request.header(b"x-forwarded-for")
        client: str = request.channel.peer
        if forwarded is not None or client.startswith("::ffff:"):
            client = client_address(client, forwarded, self._trusted)
        line = format_line(client, _user(request.user_name), self._time(), request)
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
            log.error("the end of the access log could not be written: {reason}", reason=error)
        with self._using:
            if self._fd not in (None, 1):
                os.close(self._fd)
            self._fd = None

    def _time(self) -> str:
        """Now, as Apache writes it; made once a second."""
        now = int(self._clock.seconds())
        if self._stamp[0] != now:
            at = time.localtime(now)
            zone = time.strftime("%z", at)
            self._stamp = (now, f"{at.tm_mday:02}/{_MONTHS[at.tm_mon - 1]}/{time.strftime('%Y:%H:%M:%S', at)} {zone}")
        return self._stamp[1]

    def _take(self) -> bytes:
        data = "".join(self._lines).encode("ascii", "backslashreplace")
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
        self._blocking.disk(self._write, self._take()).addBoth(self._written)

    def _write(self, data: bytes) -> None:
        """Write to whatever file is the log by now. Blocks."""
        with self._using:
            view = memoryview(data)
            while view and self._fd is not None:
                view = view[os.write(self._fd, view) :]

    def _written(self, result: object) -> None:
        self._writing = False
        if self._dropped:
            log.warn(
                "{count} access log lines were dropped: the log could not be written fast enough", count=self._dropped
            )
            self._dropped = 0
        if result is not None:
            log.error("the access log could not be written: {reason}", reason=result)
        elif self._lines:
            self._flush()


def _open_log(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
