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

__all__ = ["NAMELESS", "Target"]

# What stands for the host in errors where there is none that could be shown.
NAMELESS = "without a name"

_URL = re.compile(r"(https?)://([^/?#]*)([^#]*)(?:#.*)?", re.IGNORECASE | re.DOTALL)
_REST = re.compile(r"[!-~]*")
_IPV6 = re.compile(r"\[([0-9a-f:]+)\](?::([1-9][0-9]{0,4}))?", re.IGNORECASE)


@frozen
class Target:
    """Where a request goes; `exempt` says that the host may have any address.

    `path` begins with a slash and has the query. It is kept to the letter: whoever made the URL may have signed it.
    """

    scheme: str
    host: str
    port: int
    path: str
    exempt: bool

    @property
    def secure(self) -> bool:
        """Whether it is asked over TLS."""
        return self.scheme == "https"

    @property
    def name(self) -> str:
        """Host and port, as in the `Host` header (RFC 9110, 7.2) and in errors."""
        return _name(self.scheme, self.host, self.port)

    @classmethod
    def parse(cls, url: str, trust: Trust) -> Target:
        """Read an absolute http or https URL; a fragment is dropped.

        :raises AddressRefused: if it is no such URL, or its host is neither a public name nor exempt.
        """
        matched = _URL.fullmatch(url)
        if matched is None or not _REST.fullmatch(matched[3]) or "\\" in url:
            raise AddressRefused(NAMELESS, "cannot be asked: this is no URL of a registry")
        scheme = matched[1].lower()
        host, port = _host_and_port(matched[2], 443 if scheme == "https" else 80)
        exempt = trust.exempts(host, port)
        if not exempt:
            _require_public(host, _name(scheme, host, port))
        path = matched[3] if matched[3].startswith("/") else f"/{matched[3]}"
        return cls(scheme, host, port, path, exempt)


def _name(scheme: str, host: str, port: int) -> str:
    shown = f"[{host}]" if ":" in host else host
    return shown if port == (443 if scheme == "https" else 80) else f"{shown}:{port}"


def _host_and_port(authority: str, default: int) -> tuple[str, int]:
    """Read `host[:port]`; an IPv6 address loses its brackets.

    :raises AddressRefused: if it is malformed.
    """
    literal = _IPV6.fullmatch(authority)
    if literal is not None and isIPv6Address(literal[1]) and int(literal[2] or default) < 65536:
        return literal[1].lower(), int(literal[2] or default)
    try:
        name, _, given = configured_authority(authority).partition(":")
    except InvalidHost as error:
        raise AddressRefused(NAMELESS, "cannot be asked: it has no name that a registry can have") from error
    # The canonical form knows one default port only; which one was meant depends on the scheme.
    return name, int(given) if given else 443 if authority.endswith(":443") else default


def _require_public(host: str, name: str) -> None:
    """
    :raises AddressRefused: if this is no name that a public host can have.
    """
    if ":" in host or is_literal(host):
        raise AddressRefused(NAMELESS, "may not be asked by its address")
    try:
        public_authority(host)
    except InvalidHost as error:
        raise AddressRefused(name, "may not be asked: it has no public name") from error
