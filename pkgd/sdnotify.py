"""What systemd is told of the daemon: when it serves, loads anew, stops, and that its reactor still turns.

The protocol of sd_notify(3): a datagram of `NAME=VALUE` lines to the socket that `NOTIFY_SOCKET` names. Who has
started us otherwise gives no such name, and nothing is said. The signs of life (`WATCHDOG_USEC`) are sent by the
reactor and by nothing else: one that is stuck sends none, and systemd ends the process.

`MAINPID` is never said. The single executable is two processes of which systemd knows the parent; told of the
child, it would watch a process that isn't its own, and miss its end.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Collection, Mapping
from typing import Any

from twisted.logger import Logger

__all__ = ["ServiceManager", "watchdog_interval"]

log = Logger()

# How long a service manager that takes no messages may hold us up, in seconds: it is not expected to at all.
_PATIENCE = 1.0
# What a stop needs beside its requests: the last publishes, and the files. In seconds.
_CLOSING = 30.0


def watchdog_interval(environment: Mapping[str, str], pids: Collection[int]) -> float | None:
    """How often a sign of life is due, in seconds: half of what systemd waits for; None if it waits for none.

    :param pids: the processes that we are; what is meant for another is not for us (sd_watchdog_enabled(3)).
    """
    try:
        patience = int(environment.get("WATCHDOG_USEC", "0"))
        meant = int(environment.get("WATCHDOG_PID", "0"))
    except ValueError:
        return None
    if patience <= 0 or (meant and meant not in pids):
        return None
    return patience / 2e6


class ServiceManager:
    """systemd, or nobody.

    :param clock: the reactor.
    :param address: what `NOTIFY_SOCKET` says: a path, or `@NAME` for a socket without one; None for nobody.
    :param watchdog: how often it wants a sign of life, in seconds.
    """

    def __init__(self, clock: Any, address: str | None, watchdog: float | None = None) -> None:
        self._clock = clock
        self._address = address
        self._watchdog = watchdog
        self._serving = False

    def ready(self, url: str) -> None:
        """The daemon serves."""
        self._serving = True
        self._say("READY=1", f"STATUS=serves {url}")
        if self._watchdog is not None:
            self._clock.callLater(self._watchdog, self._alive)

    def reloading(self) -> None:
        """The configuration is being loaded anew; `reloaded` follows."""
        if self._serving:
            self._say("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def reloaded(self) -> None:
        """The load is over, however it went: the daemon serves as before."""
        if self._serving:
            self._say("READY=1")

    def stopping(self, patience: float) -> None:
        """The stop has begun.

        :param patience: how long requests may take to finish, in seconds.
        """
        self._serving = False
        extension = f"EXTEND_TIMEOUT_USEC={int((patience + _CLOSING) * 1e6)}"
        self._say("STOPPING=1", "STATUS=stops; requests finish", extension)

    def _alive(self) -> None:
        # During a stop, too: a reactor that is stuck there doesn't come to its end.
        self._say("WATCHDOG=1")
        assert self._watchdog is not None
        self._clock.callLater(self._watchdog, self._alive)

    def _say(self, *lines: str) -> None:
        if self._address is None:
            return
        name = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_PATIENCE)
                sender.connect(name)
                sender.send("\n".join(lines).encode())
        except OSError as error:
            log.warn("systemd cannot be told {what}: {reason}", what=lines[0], reason=error)
