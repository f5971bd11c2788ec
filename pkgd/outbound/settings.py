"""How patient we are with upstreams, and which of them we trust with what."""

from __future__ import annotations

from attrs import frozen

__all__ = ["Limits", "Trust"]


@frozen
class Limits:
    """What an upstream may take, in seconds and bytes.

    `connect` covers the look-up of the name and the TCP connection, `tls` the handshake after it, `first_byte` the
    wait for the whole head of an answer, `idle` a gap within a body. A body must make `min_rate` bytes a second on
    average after `rate_grace` seconds. Time in which we take nothing does not count.
    """

    connect: float = 5.0
    tls: float = 10.0
    first_byte: float = 15.0
    idle: float = 30.0
    head: int = 64 * 1024
    min_rate: float = 1024.0
    rate_grace: float = 60.0


@frozen
class Trust:
    """Which certificates are believed, and which hosts may be private.

    `ca_file`: PEM certificates that are trusted besides the system's.
    `client_certificate`, `client_key`: PEM files of what we show to servers that ask who we are, given together.
    `private_hosts`: hosts whose addresses are not checked, as `host` (any port) or `host:port`, in the form of
    `pkgd.formats.hosts.configured_authority`, or an IPv6 address in brackets.
    """

    ca_file: str | None = None
    private_hosts: frozenset[str] = frozenset()
    client_certificate: str | None = None
    client_key: str | None = None

    def exempts(self, host: str, port: int) -> bool:
        """Whether a host may have any address; an IPv6 address is given without brackets."""
        shown = f"[{host}]" if ":" in host else host
        return shown in self.private_hosts or f"{shown}:{port}" in self.private_hosts
