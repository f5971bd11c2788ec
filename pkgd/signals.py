"""What the process is told by signals: SIGTERM and SIGINT to stop, SIGHUP to read its configuration anew.

They are heard from the first moment, and what comes before the reactor runs is done when it does: the system drops
signals that the first process of a container doesn't listen to, and SIGHUP would end any other. The reactor's own
handlers are replaced: they take the second signal of two for a mistake, and have twistd end by the signal.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

__all__ = ["Signals"]

# Signals that come this close together are one: whoever ends a group of processes reaches the single executable
# twice, for its first process passes on what it gets.
SAME_SECONDS = 1.0


class Signals:
    """See the module. From `listen` on they are noted, from `obey` on they are done.

    :param handle: as `signal.signal`.
    """

    def __init__(self, handle: Callable[[int, Any], Any] = signal.signal) -> None:
        self._handle = handle
        self._loop: Any = None
        self._noted: list[int] = []
        self._stopped: float | None = None
        self._hurry: Callable[[], None] = lambda: None
        self._reload: Callable[[], None] = lambda: None

    def listen(self) -> None:
        """Set the handlers; may be called again, where others have been set meanwhile."""
        for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            self._handle(one, self._received)

    def obey(self, loop: Any, hurry: Callable[[], None], reload: Callable[[], None]) -> None:
        """Do what has been noted, and from now on what comes. The reactor runs.

        :param loop: the reactor; it is stopped at most once.
        :param hurry: called when the stop has been asked for before.
        """
        self.listen()
        self._loop, self._hurry, self._reload = loop, hurry, reload
        noted, self._noted = self._noted, []
        for number in noted:
            self._do(number)

    def _received(self, number: int, frame: object) -> None:
        """Between any two instructions of the main thread."""
        if self._loop is None:
            self._noted.append(number)
        else:
            self._loop.callFromThread(self._do, number)

    def _do(self, number: int) -> None:
        now = self._loop.seconds()
        if number == signal.SIGHUP:
            self._reload()
        elif self._stopped is None:
            self._stopped = now
            self._loop.stop()
        elif now - self._stopped >= SAME_SECONDS:
            self._hurry()
