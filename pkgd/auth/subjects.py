"""The subjects of a rule: who it is for."""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from pkgd.auth.model import Principal

__all__ = ["Subject"]


class Subject:
    """`anonymous` (everybody), `authenticated`, `user:NAME`, `group:NAME`, `cidr:NETWORK` or `issuer:URL`."""

    def __init__(self, text: str) -> None:
        """
        :raises ValueError: if it is none of these.
        """
        kind, _, value = text.partition(":")
        self.text = text
        self.is_anybody = kind == "anonymous"
        """Whether it is for everybody there is."""
        if kind == "cidr":
            self._match = _from_network(value)
            self.is_anybody = ip_network(value).prefixlen == 0
        else:
            self._match = _known(kind, value)

    def match(self, principal: Principal) -> bool:
        """Whether the principal is one of those meant."""
        return self._match(principal)


def _known(kind: str, value: str) -> Callable[[Principal], bool]:
    match kind:
        case "anonymous":
            return lambda principal: True
        case "authenticated":
            return lambda principal: principal.name is not None
        case "user":
            return lambda principal: principal.name == value
        case "group":
            return lambda principal: value in principal.groups
        case "issuer":
            return lambda principal: principal.issuer == value
    raise ValueError(f"{kind} is no kind of subject")


def _from_network(value: str) -> Callable[[Principal], bool]:
    network = ip_network(value)

    def match(principal: Principal) -> bool:
        address = _address(principal.address)
        return address is not None and address in network

    return match


def _address(text: str | None) -> IPv4Address | IPv6Address | None:
    """An address; one of IPv4 in the clothes of IPv6 is that of IPv4. None for what is none, as of a Unix socket."""
    try:
        address = ip_address(text or "")
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address
