"""Which addresses may be connected to: a table of our own.

What a name resolves to is chosen by whoever owns the name, so a name may stand for the loopback, for
a neighbour in the private network, or for a cloud's metadata service. Each of these has many
spellings; an address that carries an IPv4 address inside is taken apart.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

__all__ = ["refusal"]

_V4 = tuple(
    (IPv4Network(network), reason)
    for network, reason in [
        ("0.0.0.0/8", "this network"),
        ("10.0.0.0/8", "private"),
        ("100.64.0.0/10", "shared by a carrier"),
        ("127.0.0.0/8", "loopback"),
        ("169.254.0.0/16", "link-local"),
        ("172.16.0.0/12", "private"),
        ("168.63.129.16/32", "a cloud's own"),  # Azure's control plane, seen from every machine in it
        ("192.0.0.0/24", "reserved for protocols"),
        ("192.0.2.0/24", "for documentation"),
        ("192.88.99.0/24", "a 6to4 relay"),
        ("192.168.0.0/16", "private"),
        ("198.18.0.0/15", "for benchmarks"),
        ("198.51.100.0/24", "for documentation"),
        ("203.0.113.0/24", "for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
    ]
)

_V6 = tuple(
    (IPv6Network(network), reason)
    for network, reason in [
        ("::/128", "unspecified"),
        ("::1/128", "loopback"),
        ("::ffff:0:0/96", "IPv4 in disguise"),
        ("::/96", "IPv4 in disguise"),
        ("64:ff9b:1::/48", "a local translation"),
        ("100::/64", "to be discarded"),
        ("2001::/23", "reserved for protocols"),  # with Teredo, ORCHID and benchmarks
        ("2001:db8::/32", "for documentation"),
        ("2002::/16", "6to4"),
        ("3fff::/20", "for documentation"),
        ("5f00::/16", "for segment routing"),
        ("fc00::/7", "private"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "site-local"),
        ("ff00::/8", "multicast"),
    ]
)

_UNICAST = IPv6Network("2000::/3")

# A network without IPv4 reaches the rest of the world through this prefix (RFC 6052); so the address inside decides.
_NAT64 = IPv6Network("64:ff9b::/96")


def refusal(address: str | IPv4Address | IPv6Address) -> str | None:
    """Why an address may not be connected to, in a word or two; None if it may.

    The reason says more than a stranger should learn: it is for logs and tests.
    """
    if isinstance(address, str):
        try:
            address = ip_address(address)
        except (AddressValueError, ValueError):
            return "no address"
    return _refusal_v4(address) if isinstance(address, IPv4Address) else _refusal_v6(address)


def _refusal_v4(address: IPv4Address) -> str | None:
    return next((reason for network, reason in _V4 if address in network), None)


def _refusal_v6(address: IPv6Address) -> str | None:
    if address.scope_id is not None:
        return "scoped"
    if address in _NAT64:
        return _refusal_v4(IPv4Address(int(address) & 0xFFFFFFFF))
    reason = next((reason for network, reason in _V6 if address in network), None)
    return reason or (None if address in _UNICAST else "reserved")
