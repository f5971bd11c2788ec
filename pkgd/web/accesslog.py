"""The access log: one line per request, refused ones included; in exact Apache combined format, or as JSON.

    %h %l %u %t "%r" %>s %b "%{Referer}i" "%{User-agent}i"

`%h` is the client: where the peer is a trusted proxy, the right-most X-Forwarded-For entry that is
not one itself. `%u` is the user, if the gate knows one. `%b` counts the body bytes sent, `-` for none.
A successful probe is not logged.

As JSON a line also has what the request is called, which its answer says, too (`X-Request-Id`): as a trusted proxy has
called it, or else by a name of ours.
"""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TYPE_CHECKING, Any, Literal

from twisted.internet.interfaces import IReactorTime

from pkgd.blocking import Blocking
from pkgd.logfile import LogFile

if TYPE_CHECKING:
    from pkgd.web.request import Request

__all__ = ["AccessLog", "Network", "client_address", "format_json", "format_line", "is_trusted"]

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address

MAX_FIELD = 2048

_PROBES = frozenset([b"/health", b"/ready"])
_ESCAPED = re.compile(rb'["\\\x00-\x1f\x7f-\xff]')
# What a proxy may call a request.
_ID = re.compile(r"[A-Za-z0-9._:/+=@-]{1,128}")
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


def format_json(client: str, now: float, request: Request) -> str:
    """One line as a JSON object, with its newline; what is absent is left out.

    :param now: the end of the request, in seconds since the epoch.
    """
    headers = request.head.headers
    fields: dict[str, Any] = {
        "time": datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "id": request.id,
        "client": client,
        "user": request.user_name or None,
        "request": _text(request.head.line),
        "route": request.route,
        "status": request.status,
        "sent": request.sent,
        "received": request.body.received,
        "seconds": round(max(0.0, now - request.began), 6),
        "referer": _text(headers.get(b"referer")),
        "user_agent": _text(headers.get(b"user-agent")),
    }
    return json.dumps({name: value for name, value in fields.items() if value is not None}) + "\n"


def _text(value: bytes | None) -> str | None:
    """A header or request line; bytes that are no UTF-8 are escaped."""
    return value[:MAX_FIELD].decode("utf-8", "backslashreplace") if value else None


class AccessLog:
    """Writes to `path`, `-` being standard output; `path` None writes nothing."""

    def __init__(
        self,
        clock: IReactorTime,
        blocking: Blocking,
        path: str | None,
        trusted: Sequence[Network],
        form: Literal["combined", "json"] = "combined",
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        """
        :param new_id: a name for a request, as nobody else has it.
        """
        self._clock = clock
        self.trusted = trusted
        self.names_requests = form == "json" and path is not None
        self._new_id = new_id
        self._file = LogFile(clock, blocking, path, "access log")
        self._stamp = (0, "")

    def open(self) -> None:
        """Open the file. Blocks.

        :raises OSError: if it cannot be opened.
        """
        self._file.open()

    def reopen(self) -> None:
        """Open the file anew, after a rotation. Blocks."""
        self._file.reopen()

    def close(self) -> None:
        """Write what is left, and close. Blocks."""
        self._file.close()

    def record(self, request: Request) -> None:
        """Note a finished request."""
        if not self._file.is_open or (request.path in _PROBES and request.status == 200):
            return
        forwarded = request.header(b"x-forwarded-for")
        client: str = request.channel.peer
        if forwarded is not None or client.startswith("::ffff:"):
            client = client_address(client, forwarded, self.trusted)
        if self.names_requests:
            self._file.append(format_json(client, self._clock.seconds(), request))
        else:
            self._file.append(format_line(client, _user(request.user_name), self._time(), request))

    def name_of(self, request: Request) -> str:
        """What a request is called: as a trusted proxy says, or by a name of ours."""
        said = request.header(b"x-request-id")
        if said is not None and _ID.fullmatch(said) and is_trusted(request.channel.peer, self.trusted):
            return said
        return self._new_id()

    def _time(self) -> str:
        """Now, as Apache writes it; made once a second."""
        now = int(self._clock.seconds())
        if self._stamp[0] != now:
            at = time.localtime(now)
            zone = time.strftime("%z", at)
            self._stamp = (now, f"{at.tm_mday:02}/{_MONTHS[at.tm_mon - 1]}/{time.strftime('%Y:%H:%M:%S', at)} {zone}")
        return self._stamp[1]
