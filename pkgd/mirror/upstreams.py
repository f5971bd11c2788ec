"""The endpoints of every upstream host, and the order in which they are asked: parent mirrors, then the origin."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.logger import Logger

from pkgd.errors import LoopDetected, UnknownName
from pkgd.errors import Upstream as UpstreamError
from pkgd.formats.names import Origin
from pkgd.mirror.upstream import Upstream
from pkgd.sharing import Tasks

__all__ = ["Upstreams"]

log = Logger()

T = TypeVar("T")

# Hosts whose connections, tokens and state are kept; clients may name any number of them.
MAX_HOSTS = 256


class Upstreams:
    """Makes each endpoint on its first use. `made_of` tells whether others would be the same."""

    def __init__(
        self,
        parents: Sequence[Upstream],
        make: Callable[[str], Upstream],
        direct: bool = True,
        made_of: object = None,
    ) -> None:
        """
        :param parents: mirrors to ask first, whatever the host.
        :param make: makes the endpoint of a host itself.
        :param direct: whether hosts themselves may be asked.
        """
        self.made_of = made_of
        self._parents = list(parents)
        self._make = make
        self._direct = direct
        self._hosts: OrderedDict[str, Upstream] = OrderedDict()
        self._tasks = Tasks()

    async def first(self, origin: Origin, ask: Callable[[Upstream], Awaitable[T | None]]) -> T | None:
        """Ask one endpoint after the other until one has it.

        What a parent does not have, or cannot tell, its successor may: the last one's word counts.
        None if that is "not here".

        :raises PkgdError: if the last one cannot tell.
        """
        endpoints = self.of(origin.host)
        if not endpoints:
            raise UnknownName(str(origin))
        for endpoint in endpoints:
            try:
                found = await ask(endpoint)
            except (UpstreamError, LoopDetected) as error:
                log.warn("{host} for {origin}: {reason}", host=endpoint.host, origin=origin, reason=error.message)
                if endpoint is endpoints[-1]:
                    raise
            else:
                if found is not None:
                    return found
        return None

    def of(self, host: str) -> list[Upstream]:
        """The endpoints of a host, in order."""
        if not self._direct:
            return self._parents
        found = self._hosts.get(host)
        if found is None:
            if len(self._hosts) >= MAX_HOSTS:
                self._forget_one()
            found = self._hosts[host] = self._make(host)
        self._hosts.move_to_end(host)
        return [*self._parents, found]

    @property
    def is_idle(self) -> bool:
        """Whether nobody asks any of them for anything at present."""
        return all(one.is_idle for one in (*self._parents, *self._hosts.values()))

    def _forget_one(self) -> None:
        """Close the one that was asked longest ago, of those that nobody is waiting for."""
        for host, one in self._hosts.items():
            if one.is_idle:
                del self._hosts[host]
                self._tasks.start("closing an upstream", one.close())
                return

    async def close(self) -> None:
        """Close all connections."""
        for one in [*self._parents, *self._hosts.values()]:
            await one.close()
        await self._tasks.finished()
