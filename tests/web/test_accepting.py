"""Accepting connections while there are descriptors."""

from __future__ import annotations

import os
import resource

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.web.accepting import PAUSE, SPARE, Accepting, room_for_connections


class Port:
    """A port that notes what is done with it."""

    def __init__(self) -> None:
        self.connected = True
        self.numberAccepts = 100
        self.reading = True
        self.accepted = 0

    def doRead(self) -> None:
        """Accept."""
        self.accepted += 1

    def stopReading(self) -> None:
        """Look no more."""
        self.reading = False

    def startReading(self) -> None:
        """Look again."""
        self.reading = True


class AcceptingTests(SynchronousTestCase):
    """A port, and a machine that may have run out of descriptors."""

    def setUp(self) -> None:
        self.port, self.clock, self.room = Port(), Clock(), 1000
        self.accepting = Accepting(self.port, self.clock, lambda: self.room)

    def test_room(self) -> None:
        """Usually the port does what it always does."""
        self.accepting.do_read()
        self.assertEqual((self.port.accepted, self.port.reading, self.port.numberAccepts), (1, True, 100))

    def test_little_room(self) -> None:
        """No more are accepted in one go than there are descriptors for."""
        self.room = 7
        self.accepting.do_read()
        self.assertEqual((self.port.accepted, self.port.numberAccepts), (1, 7))

    def test_none(self) -> None:
        """Without descriptors nobody looks at the port until the pause is over: the reactor has nothing to do."""
        self.room = 0
        self.accepting.do_read()
        self.assertEqual((self.port.accepted, self.port.reading), (0, False))
        self.clock.advance(PAUSE - 0.1)
        self.assertFalse(self.port.reading)
        self.clock.advance(0.1)
        self.assertTrue(self.port.reading)
        self.room = 1
        self.accepting.do_read()
        self.assertEqual(self.port.accepted, 1)

    def test_closed_meanwhile(self) -> None:
        """A port that has been closed stays closed."""
        self.room = 0
        self.accepting.do_read()
        self.port.connected = False
        self.clock.advance(PAUSE)
        self.assertFalse(self.port.reading)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DescriptorTests(SynchronousTestCase):
    """How it is known that they are used up."""

    def setUp(self) -> None:
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, resource.getrlimit(resource.RLIMIT_NOFILE))
        # Other tests have left gaps between those that are in use.
        filling = [os.dup(0)]
        self.addCleanup(lambda: [os.close(one) for one in filling])
        highest = max(int(one) for one in os.listdir("/proc/self/fd"))
        while filling[-1] <= highest:
            filling.append(os.dup(0))
        self.lowest = filling[-1] + 1

    def limit(self, number: int) -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))

    def test_spare(self) -> None:
        """Some are kept for the files of those who are connected already."""
        self.limit(self.lowest + 4 * SPARE + SPARE)
        self.assertEqual(room_for_connections(), 4 * SPARE)
        more = [os.dup(0) for _ in range(4 * SPARE)]
        self.addCleanup(lambda: [os.close(one) for one in more])
        self.assertEqual(room_for_connections(), 0)

    def test_none_at_all(self) -> None:
        """Where nothing can be opened any more that is no failure."""
        for number in (self.lowest, 0):
            self.limit(number)
            self.assertEqual(room_for_connections(), 0)

    def test_few(self) -> None:
        """Where there are few in all, a quarter is kept."""
        number = self.lowest + self.lowest // 2
        self.limit(number)
        self.assertEqual(room_for_connections(), number - min(SPARE, number // 4) - self.lowest)
