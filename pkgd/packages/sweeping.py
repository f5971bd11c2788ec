"""Sweeps and the like: one at a time, in the background, and never anybody's failure."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.logger import Logger

from pkgd.errors import PkgdError
from pkgd.sharing import Tasks

__all__ = ["Sweeping"]

log = Logger()


class Sweeping:
    """Runs the sweep of a repository, or what else has to be done some time.

    :param name: what is done, for the log.
    :param work: does it; what it leaves is left to the next.
    """

    def __init__(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._name = name
        self._work = work
        self._running = False
        self._tasks = Tasks()

    async def run(self) -> None:
        """Do it, unless it is being done. A storage or key that refuses is noted in the log."""
        if self._running:
            return
        self._running = True
        try:
            await self._work()
        except PkgdError as error:
            log.warn("{name} was cut short: {reason}", name=self._name, reason=error.message)
        finally:
            self._running = False

    def soon(self) -> None:
        """Do it in the background."""
        if not self._running:
            self._tasks.start("sweeping", self.run())

    async def finished(self) -> None:
        """Wait until it isn't done in the background any more."""
        await self._tasks.finished()
