"""How a connection comes about: look up, check, connect to what was checked, check again.

A name is looked up once. Every address that it stands for is checked, and the connection goes to one
of those that passed, by its number: a resolver that gives another answer a moment later is not asked.
The peer is compared once more before the first byte leaves. Certificate and `Host` are the name's.
"""

from __future__ import annotations

from functools import partial
from ipaddress import ip_address
from itertools import zip_longest
from typing import Any, cast

from attrs import frozen
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.interfaces import (
    IAddress,
    IHostnameResolver,
    IHostResolution,
    IProtocol,
    IProtocolFactory,
    IResolutionReceiver,
    IStreamClientEndpoint,
)
from twisted.protocols.tls import TLSMemoryBIOFactory
from zope.interface import implementer

from pkgd.errors import AddressRefused, UpstreamUnavailable
from pkgd.outbound import failures
from pkgd.outbound.addresses import refusal
from pkgd.outbound.attempts import first_of
from pkgd.outbound.certificates import Certificates
from pkgd.outbound.connection import Connection, Connections
from pkgd.outbound.settings import Limits, Trust
from pkgd.outbound.target import NAMELESS, Target

__all__ = ["Connector"]

# How many addresses of a name are looked at, and how many are tried.
MAX_FOUND = 64
MAX_TRIED = 8


class Connector:
    """Makes every connection, and closes them all in the end.

    :param reactor: connects, resolves, and knows the time.
    :raises ConfigError: if a file of `trust` cannot be used.
    """

    def __init__(self, reactor: Any, trust: Trust, limits: Limits) -> None:
        self._reactor = reactor
        self._limits = limits
        self._certificates = Certificates(trust)
        self._open: set[Connection] = set()

    def endpoint(self, target: Target) -> IStreamClientEndpoint:
        """The way to a target's host, for a pool of connections."""
        return _Endpoint(self, target)

    async def connect(self, target: Target, protocols: IProtocolFactory) -> IProtocol:
        """Connect to a target's host, and set up TLS if it is to be.

        :raises AddressRefused: if it may not be connected to.
        :raises UpstreamUnavailable: if no connection comes about.
        :raises UpstreamTimeout: if it does not come about in time.
        """
        with failures.translated(failures.of_connect, target.name):
            reaching = Deferred.fromCoroutine(self._reach(target, protocols))
            connection = await reaching.addTimeout(self._limits.connect, self._reactor)
        if target.secure:
            with failures.translated(failures.of_handshake, target.name):
                await connection.secured().addTimeout(self._limits.tls, self._reactor)
        return cast(IProtocol, connection.client)

    async def close(self) -> None:
        """Close all connections, and wait until they are lost: at once, but for those that are idle."""
        lost = [connection.closed() for connection in self._open]
        for connection in list(self._open):
            connection.loseConnection()
        await gatherResults(lost)

    async def _reach(self, target: Target, protocols: IProtocolFactory) -> Connection:
        """A TCP connection to one of the host's addresses."""
        addresses = await self._addresses(target)
        attempts = [partial(self._attempt, target, address, protocols) for address in addresses]
        protocol: Any = await first_of(self._reactor, attempts)
        connection = protocol.wrappedProtocol if target.secure else protocol
        assert isinstance(connection, Connection)
        return connection

    def _attempt(self, target: Target, address: str, protocols: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect to an address."""
        admit = partial(_admit, target, address)
        factory: Any = Connections(protocols, target.name, self._limits, self._reactor, self._open, admit)
        if target.secure:
            factory = TLSMemoryBIOFactory(self._certificates.creator(target.host), True, factory, self._reactor)
        kind = TCP6ClientEndpoint if ":" in address else TCP4ClientEndpoint
        endpoint = kind(self._reactor, address, target.port, self._limits.connect)
        return cast("Deferred[IProtocol]", endpoint.connect(factory))

    async def _addresses(self, target: Target) -> list[str]:
        """The addresses that may be tried, in this order.

        :raises AddressRefused: if there are none but forbidden ones.
        :raises UpstreamUnavailable: if there are none.
        """
        if isIPAddress(target.host) or isIPv6Address(target.host):
            if not target.exempt:
                raise AddressRefused(NAMELESS, "may not be asked by its address")
            return [target.host]
        found = await _look_up(self._reactor.nameResolver, target)
        allowed = [address for address in found if target.exempt or refusal(address) is None]
        if found and not allowed:
            raise AddressRefused(target.name, "may not be connected to: its address is not public")
        if not found:
            raise UpstreamUnavailable(target.name, "cannot be found")
        return _alternating(allowed)[:MAX_TRIED]


@frozen
@implementer(IStreamClientEndpoint)
class _Endpoint:
    """See `Connector.endpoint`."""

    connector: Connector
    target: Target

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """See `Connector.connect`."""
        return Deferred.fromCoroutine(self.connector.connect(self.target, protocolFactory))


@implementer(IResolutionReceiver)
class _LookUp:
    """Collects the addresses of a name."""

    def __init__(self) -> None:
        self.done: Deferred[list[str]] = Deferred()
        self._addresses: dict[str, None] = {}

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Called by the resolver."""

    def addressResolved(self, address: IAddress) -> None:
        """Called by the resolver for each address."""
        if isinstance(address, IPv4Address | IPv6Address) and len(self._addresses) < MAX_FOUND:
            self._addresses[address.host] = None

    def resolutionComplete(self) -> None:
        """Called by the resolver when there are no more."""
        self.done.callback(list(self._addresses))


async def _look_up(resolver: IHostnameResolver, target: Target) -> list[str]:
    """All addresses of a host's name."""
    found = _LookUp()
    resolver.resolveHostName(found, target.host, target.port, [IPv4Address, IPv6Address])
    return await found.done


def _alternating(addresses: list[str]) -> list[str]:
    """Families in turn, the resolver's favourite first (RFC 8305, 4): one that leads nowhere costs only a moment."""
    families: tuple[list[str], list[str]] = ([], [])
    for address in addresses:
        families[(":" in address) != (":" in addresses[0])].append(address)
    return [address for pair in zip_longest(*families) for address in pair if address is not None]


def _admit(target: Target, address: str, peer: IAddress | None) -> None:
    """Compare the peer with the address that was checked: a system may connect elsewhere, as with 0.0.0.0.

    :raises AddressRefused: if it is another one.
    """
    there: Any = peer
    same = isinstance(there, IPv4Address | IPv6Address) and there.port == target.port
    if not same or ip_address(there.host) != ip_address(address) or not (target.exempt or refusal(there.host) is None):
        raise AddressRefused(target.name, "may not be connected to: it is not where it was said to be")
