"""How the server and its clients look from outside: through proxies that are trusted, and through no others.

What the configuration says of the server counts; only without it the request's Host does, and the proxy's word for it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import urlsplit

from pkgd.web.accesslog import Network, client_address, is_trusted
from pkgd.web.request import Request

__all__ = ["Outside"]

# As `pkgd.web.head` has it for Host; a realm is built of this.
_HOST = re.compile(r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9_])?|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")


class Outside:
    """See the module."""

    def __init__(
        self, external_url: str | None = None, service: str | None = None, trusted: Sequence[Network] = ()
    ) -> None:
        """
        :param service: what the token service calls this server, if not by its host.
        :param trusted: proxies whose X-Forwarded-For, -Proto and -Host are believed.
        """
        self._url = external_url
        self._service = service
        self._trusted = trusted

    def address(self, request: Request) -> str:
        """Where the request comes from."""
        peer: str = request.channel.peer
        forwarded = request.header(b"x-forwarded-for")
        if forwarded is None and not peer.startswith("::ffff:"):
            return peer
        return client_address(peer, forwarded, self._trusted)

    def url(self, request: Request) -> str:
        """How clients reach this server, without a path."""
        if self._url is not None:
            return self._url
        scheme, host = "https" if request.isSecure() else "http", request.header(b"host") or ""
        if self._trusted and is_trusted(request.channel.peer, self._trusted):
            proto = _last(request.header(b"x-forwarded-proto")).lower()
            scheme = proto if proto in ("http", "https") else scheme
            forwarded = _last(request.header(b"x-forwarded-host"))
            host = forwarded if _HOST.fullmatch(forwarded) else host
        if not host:  # HTTP/1.0
            address = request.channel.transport.getHost()
            host = f"{getattr(address, 'host', 'localhost')}:{getattr(address, 'port', 80)}"
        return f"{scheme}://{host}"

    def service(self, request: Request) -> str:
        """What tokens are for: this server's name."""
        return self._service or urlsplit(self.url(request)).netloc


def _last(value: str | None) -> str:
    """What the nearest proxy has written."""
    return (value or "").rpartition(",")[2].strip()
