"""Accepting connections only while there are file descriptors for what comes after.

Twisted accepts and closes at once what it has no descriptor for; where its own spare one is lost to a thread that opens
a file, the reactor runs in circles until there is another. Here new clients wait in the listening socket's queue before
it comes to that, and those that are connected can still have their files opened.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

__all__ = ["PAUSE", "SPARE", "Accepting", "room_for_connections"]

log = Logger()

# So many descriptors are left for the files of those who are connected; where there are few in all, a quarter.
SPARE = 64
# How long nobody is accepted then, in seconds.
PAUSE = 1.0


def room_for_connections() -> int:
    """How many descriptors there are for more connections: all below the lowest that is free are in use."""
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if limit == resource.RLIM_INFINITY:
        limit = sys.maxsize
    try:
        lowest = os.dup(0)
    except OSError:
        return 0
    os.close(lowest)
    return max(0, limit - min(SPARE, limit // 4) - lowest)


class Accepting:
    """What a port does when somebody connects: in place of its `doRead`."""

    def __init__(self, port: Any, clock: IReactorTime, room: Callable[[], int] = room_for_connections) -> None:
        self._port = port
        self._clock = clock
        self._room = room
        self._accept = port.doRead

    def do_read(self) -> Any:
        """Accept those who wait, or let them wait for a moment."""
        room = self._room()
        if room:
            # Twisted accepts that many in one go.
            self._port.numberAccepts = min(self._port.numberAccepts, room)
            return self._accept()
        log.warn("nobody is accepted for a moment: the file descriptors are used up")
        self._port.stopReading()
        self._clock.callLater(PAUSE, self._go_on)
        return None

    def _go_on(self) -> None:
        if self._port.connected:  # it listens still
            self._port.startReading()
