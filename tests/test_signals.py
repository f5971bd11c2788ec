"""Signals: from the first moment on, and each order once."""

from __future__ import annotations

import signal
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.signals import SAME_SECONDS, Signals
from tests.loop import Loop


class StoppableLoop(Loop):
    """Notes that it was stopped."""

    def stop(self) -> None:
        """Twisted's own refuses to be stopped twice."""
        assert "stop" not in self.events
        self.events.append("stop")


class SignalsTests(SynchronousTestCase):
    """`Signals`."""

    def setUp(self) -> None:
        """Handlers that are set go to a table."""
        self.loop = StoppableLoop()
        self.handlers: dict[int, Any] = {}
        self.signals = Signals(self.handlers.__setitem__)
        self.signals.listen()

    def obey(self) -> None:
        """The reactor runs."""
        note = self.loop.events.append
        self.signals.obey(self.loop, lambda: note("hurry"), lambda: note("reload"))

    def send(self, *numbers: int) -> list[str]:
        """The process gets signals; what has come of them so far."""
        for one in numbers:
            self.handlers[one](one, None)
        self.loop.until(lambda: self.loop.is_quiet)
        return self.loop.events

    def test_each(self) -> None:
        """SIGTERM and SIGINT stop, SIGHUP loads anew."""
        self.obey()
        self.assertEqual(self.send(signal.SIGHUP, signal.SIGINT), ["reload", "stop"])

    def test_two_at_once(self) -> None:
        """Two that come together are one: a group of processes was signalled, or one has passed it on."""
        self.obey()
        self.assertEqual(self.send(signal.SIGTERM, signal.SIGTERM, signal.SIGINT), ["stop"])

    def test_second(self) -> None:
        """A later one says that there is no time."""
        self.obey()
        self.send(signal.SIGTERM)
        self.loop.advance(SAME_SECONDS)

        self.assertEqual(self.send(signal.SIGINT), ["stop", "hurry"])

    def test_early(self) -> None:
        """What comes before the reactor runs is done when it does, for a stop cannot wait for ever."""
        before = self.send(signal.SIGHUP, signal.SIGTERM).copy()

        self.obey()

        self.assertEqual((before, self.loop.events), ([], ["reload", "stop"]))

    def test_replaced(self) -> None:
        """The reactor sets handlers of its own when it begins to run; they are replaced."""
        self.handlers.clear()

        self.obey()

        self.assertEqual(set(self.handlers), {signal.SIGTERM, signal.SIGINT, signal.SIGHUP})
