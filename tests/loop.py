"""A reactor in memory for code with real threads: the test waits for their results, and time is the test's own."""

from __future__ import annotations

import queue
from collections.abc import Callable
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.testing import MemoryReactorClock

__all__ = ["Loop", "Port"]

# How long a thread may take before the test is given up, in seconds.
PATIENCE = 20.0


class Port:
    """A port that listens to nothing, and notes that it was closed."""

    def __init__(self, loop: Loop, number: int, interface: str) -> None:
        self._loop = loop
        self._address = IPv4Address("TCP", interface, number)
        self.open = True

    def getHost(self) -> IPv4Address:
        """The address that was asked for."""
        return self._address

    def stopListening(self) -> None:
        """Close it."""
        self.open = False
        self._loop.events.append("closed")


class Loop(MemoryReactorClock):
    """See the module. `ports` are those listened on, with their factories; `events` what tests note in order."""

    def __init__(self) -> None:
        super().__init__()
        self.ports: list[tuple[Port, Any]] = []
        self.events: list[str] = []
        self.refuses: Exception | None = None
        self.look_ups = 0
        self._calls: queue.SimpleQueue[Callable[[], Any]] = queue.SimpleQueue()

    def suggestThreadPoolSize(self, size: int) -> None:
        """Note how many names may be looked up at the same time."""
        self.look_ups = size

    def callFromThread(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Call it when the test waits next."""
        self._calls.put(lambda: call(*args, **kwargs))

    def listenTCP(self, port: int, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen to nothing."""
        if self.refuses is not None:
            raise self.refuses
        listening = Port(self, port, interface)
        self.ports.append((listening, factory))
        factory.doStart()
        return listening

    @property
    def is_quiet(self) -> bool:
        """Whether threads, and signals, have nothing to say for now."""
        return self._calls.empty()

    def until(self, condition: Callable[[], Any]) -> None:
        """Take what threads have to say until the condition holds."""
        self.advance(0)
        while not condition():
            self._calls.get(timeout=PATIENCE)()
            self.advance(0)
