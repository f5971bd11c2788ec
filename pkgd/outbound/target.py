"""A URL, read strictly: what cannot be asked is refused before anything is looked up.

Redirects and token realms are URLs that somebody else wrote. Here they are read once, and what the
client sends is put together from what was read, so that no second parser can understand them
differently.
"""

from __future__ import annotations

import re

from attrs import frozen
from twisted.internet.abstract import isIPv6Address

from pkgd.errors import AddressRefused, InvalidHost
from pkgd.formats.hosts import configured_authority, is_literal, public_authority
from pkgd.outbound.settings import Trust

__all__ = ["Target"]

# What stands for the host in errors where there is none that could be shown.
NAMELESS = "without a name"

_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_REST = re.compile(r"[!-~]*")
_IPV6 = re.compile(r"\[([0-9a-f:]+)\](?::([1-9][0-9]{0,4}))?", re.IGNORECASE)


@frozen
class Target:
    """Where a request goes. `name` is how it is called in errors, `path` begins with a slash and has the query."""

    scheme: str
    host: str
    port: int
    name: str
    path: str

    @property
    def origin(self) -> str:
        """Scheme, host and port, as a URL without path."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @property
    def url(self) -> str:
        """All of it."""
        return self.origin + self.path

    @classmethod
    def parse(cls, url: str, trust: Trust) -> Target:
        """Read an absolute http or https URL; a fragment is dropped.

        :raises AddressRefused: if it is no such URL, or its host is neither a public name nor exempt.
        """
        matched = _URL.fullmatch(url)
        if matched is None or not _REST.fullmatch(matched[3]) or "\\" in url:
            raise AddressRefused(NAMELESS, "cannot be asked: this is no URL of a registry")
        scheme = matched[1].lower()
        default = 443 if scheme == "https" else 80
        path = matched[3] if matched[3].startswith("/") else f"/{matched[3]}"
        host, port = _host_and_port(matched[2], default, trust)
        shown = f"[{host}]" if ":" in host else host
        return cls(scheme, host, port, shown if port == default else f"{shown}:{port}", path)


def _host_and_port(authority: str, default: int, trust: Trust) -> tuple[str, int]:
    """Read `host[:port]`.

    :raises AddressRefused: see `Target.parse`.
    """
    literal = _IPV6.fullmatch(authority)
    if literal is not None:
        host, port = literal[1].lower(), int(literal[2] or default)
        if isIPv6Address(host) and port < 65536 and trust.exempts(host, port):
            return host, port
        raise AddressRefused(NAMELESS, "may not be asked by its address")
    try:
        name, _, given = configured_authority(authority).partition(":")
    except InvalidHost as error:
        raise AddressRefused(NAMELESS, "cannot be asked: it has no name that a registry can have") from error
    # The canonical form knows only one default port; which one was meant depends on the scheme.
    port = int(given) if given else 443 if authority.endswith(":443") else default
    if not trust.exempts(name, port):
        _require_public(name)
    return name, port


def _require_public(name: str) -> None:
    """
    :raises AddressRefused: if this is no name that a public host can have.
    """
    if is_literal(name):
        raise AddressRefused(NAMELESS, "may not be asked by its address")
    try:
        public_authority(name)
    except InvalidHost as error:
        raise AddressRefused(name, "may not be asked: it has no public name") from error
