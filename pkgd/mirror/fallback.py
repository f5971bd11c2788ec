"""Names that name no upstream: the first of the fallback list that definitely has them, from then on always the same.

Else a name that is free at the first host today, and registered there by somebody else tomorrow, would
change what is pulled (dependency confusion). A time-out or a server error decides nothing, so it never
leads on to the next host.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from twisted.logger import Logger

from pkgd.errors import PkgdError, Storage, Unknown, UpstreamRefused
from pkgd.formats.names import Origin
from pkgd.mirror.cache import MirrorCache

__all__ = ["Fallback"]

log = Logger()

T = TypeVar("T")


class Fallback:
    """Remembers in the cache which upstream repository a name has been resolved to."""

    def __init__(self, cache: MirrorCache) -> None:
        self._cache = cache

    async def knows(self, origins: Sequence[Origin]) -> bool:
        """Whether the name has been resolved to one of them."""
        return any([await self._cache.is_fallback(one) for one in origins])

    async def resolve(self, origins: Sequence[Origin], ask: Callable[[Origin], Awaitable[T]], decides: bool) -> T:
        """The answer of the one that the name stands for.

        :param ask: answers, or raises what the upstream says.
        :param decides: whether an answer proves that the repository is there, as an empty list does not.
        :raises PkgdError: what the last one says, or the first that cannot tell.
        """
        for origin in origins:
            if await self._cache.is_fallback(origin):
                return await ask(origin)
        denial: PkgdError | None = None
        for origin in origins:
            try:
                answer = await ask(origin)
            except (Unknown, UpstreamRefused) as error:
                if isinstance(error, UpstreamRefused) and not error.definite:
                    raise
                # "Not here" is what a client understands best, if anybody says so.
                denial = error if denial is None or isinstance(error, Unknown) else denial
            else:
                if decides:
                    await self._settle(origin)
                return answer
        assert denial is not None, "there is one origin at least"
        raise denial

    async def _settle(self, origin: Origin) -> None:
        log.info("pulls of {name} without an upstream's name are resolved to {origin}", name=origin.name, origin=origin)
        try:
            await self._cache.mark_fallback(origin)
        except Storage as error:
            log.error("that cannot be written down: {reason}", reason=error.message)
