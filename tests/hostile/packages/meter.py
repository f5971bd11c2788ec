"""pkgd with a meter on its reactor: `python -m tests.hostile.packages.meter REPORT ARGUMENT…` is `pkgd ARGUMENT…`.

What the reactor does between two waits for events is a turn. Of each the CPU time of the reactor's thread is noted,
which other processes on the machine cannot lengthen, and the time on the clock, which they can.
A thread that keeps the interpreter's lock makes the reactor wait without a turn, so there is a heartbeat as well: how
late it is, without the time for which the reactor's thread lacked a processor, and no more than all of pkgd's threads
computed meanwhile, is for how long pkgd itself kept its reactor from going on.
The report, JSON, is written when pkgd ends.
"""

from __future__ import annotations

import json
import os
import sys
import time
from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.epollreactor import EPollReactor
from twisted.internet.main import installReactor

from tests.crash.server import waited_for_processor

INTERVAL = 0.01
_WORST = 10


class Meter:
    """The turns and the heartbeats of one reactor."""

    def __init__(self, waited: Callable[[], float]) -> None:
        """
        :param waited: for how many seconds the reactor's thread has been ready to run without a processor.
        """
        self._waited = waited
        self._cpu = array("d")
        self._clock = array("d")
        self._late = array("d")
        self._lates: list[tuple[float, float]] = []
        self._began: tuple[float, float] | None = None
        self._beaten: tuple[float, float, float] | None = None

    def begin(self) -> None:
        """The wait for events is over."""
        self._began = time.thread_time(), time.monotonic()

    def end(self) -> None:
        """The next wait begins."""
        if self._began is not None:
            self._cpu.append(time.thread_time() - self._began[0])
            self._clock.append(time.monotonic() - self._began[1])

    def beat(self) -> None:
        """It is time for a heartbeat, or was."""
        now, computed, waited = time.monotonic(), time.process_time(), self._waited()
        if self._beaten is not None:
            gap = now - self._beaten[0] - INTERVAL - (waited - self._beaten[2])
            late = max(0.0, min(gap, computed - self._beaten[1]))
            self._late.append(late)
            self._lates = sorted([*self._lates, (late, now)], reverse=True)[:_WORST]
        self._beaten = time.monotonic(), time.process_time(), waited

    def report(self) -> dict[str, Any]:
        """Percentiles in seconds; and the latest heartbeats, with the monotonic time at which they came."""
        return {
            "turns": len(self._cpu),
            "cpu": _summary(self._cpu),
            "clock": _summary(self._clock),
            "late": _summary(self._late),
            "latest": self._lates,
        }


def _summary(values: array[float]) -> dict[str, float]:
    ordered = sorted(values)
    if not ordered:
        return {"p99": 0.0, "p999": 0.0, "worst": 0.0}
    return {
        "p99": ordered[int(len(ordered) * 0.99)],
        "p999": ordered[int(len(ordered) * 0.999)],
        "worst": ordered[-1],
    }


class _MeteredPoll:
    """An epoll object, each wait of which ends a turn and begins another."""

    def __init__(self, poll: Any, meter: Meter) -> None:
        self._poll = poll
        self._meter = meter

    def poll(self, timeout: float, most: int) -> Any:
        """Wait for events."""
        self._meter.end()
        try:
            return self._poll.poll(timeout, most)
        finally:
            self._meter.begin()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._poll, name)


def main() -> int:
    """Run pkgd."""
    report, meter, reactor = Path(sys.argv[1]), Meter(lambda: waited_for_processor(os.getpid())), EPollReactor()
    reactor._poller = _MeteredPoll(reactor._poller, meter)
    installReactor(reactor)

    def beat() -> None:
        meter.beat()
        reactor.callLater(INTERVAL, beat)

    reactor.callWhenRunning(beat)
    from pkgd.__main__ import main as pkgd

    try:
        return pkgd(sys.argv[2:])
    finally:
        report.write_text(json.dumps(meter.report()))


if __name__ == "__main__":
    sys.exit(main())
