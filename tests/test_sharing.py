"""Locks by key, work that is shared, and tasks that outlive who began them."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import NotReady
from pkgd.sharing import KeyedLock, SingleFlight, Tasks, together


class KeyedLockTests(SynchronousTestCase):
    """Who holds a key keeps others from it, and nobody from another key."""

    def setUp(self) -> None:
        """A lock, and a record of who has come in."""
        self.lock = KeyedLock()
        self.inside: list[str] = []

    def enter(self, key: str, who: str, until: Deferred[None]) -> Deferred[None]:
        """Hold the key until told otherwise."""

        async def hold() -> None:
            async with self.lock.holding(key):
                self.inside.append(who)
                await until

        return Deferred.fromCoroutine(hold())

    def test_one_at_a_time(self) -> None:
        """The second waits until the first has left."""
        first: Deferred[None] = Deferred()
        self.enter("a", "first", first)
        self.enter("a", "second", Deferred())
        self.assertEqual(self.inside, ["first"])

        first.callback(None)

        self.assertEqual(self.inside, ["first", "second"])

    def test_fair(self) -> None:
        """Those who wait come in in the order in which they came."""
        leaves: list[Deferred[None]] = [Deferred() for _ in range(3)]
        for number, leave in enumerate(leaves):
            self.enter("a", str(number), leave)

        for leave in leaves:
            leave.callback(None)

        self.assertEqual(self.inside, ["0", "1", "2"])

    def test_other_keys(self) -> None:
        """Keys don't wait for one another."""
        self.enter("a", "one", Deferred())
        self.enter("b", "other", Deferred())

        self.assertEqual(self.inside, ["one", "other"])

    def test_failure_releases(self) -> None:
        """Who fails inside lets the next one in, and the failure is its own."""
        first: Deferred[None] = Deferred()
        failing = self.enter("a", "first", first)
        self.enter("a", "second", Deferred())

        first.errback(NotReady())

        self.failureResultOf(failing, NotReady)
        self.assertEqual(self.inside, ["first", "second"])

    def test_cancelled_wait(self) -> None:
        """Who gives up waiting takes nobody's turn."""
        first: Deferred[None] = Deferred()
        self.enter("a", "first", first)
        impatient = self.enter("a", "impatient", Deferred())
        self.enter("a", "patient", Deferred())

        impatient.cancel()
        first.callback(None)

        self.failureResultOf(impatient, CancelledError)
        self.assertEqual(self.inside, ["first", "patient"])

    def test_nothing_remains(self) -> None:
        """A key that nobody holds or awaits is forgotten, so keys that come and go cost nothing."""
        leave: Deferred[None] = Deferred()
        self.enter("a", "one", leave)
        waiting = self.enter("a", "other", leave)
        leave.callback(None)

        self.successResultOf(waiting)
        self.assertEqual(self.lock._locks, {})


class SingleFlightTests(SynchronousTestCase):
    """However many ask for the same thing at the same time, the work is done once."""

    def setUp(self) -> None:
        """Nothing is being done; each piece of work waits for the test."""
        self.flights: SingleFlight[str] = SingleFlight()
        self.begun: list[Deferred[str]] = []

    def join(self, key: str) -> Deferred[str]:
        """Ask for a key's work."""

        async def work() -> str:
            self.begun.append(Deferred())
            return await self.begun[-1]

        return Deferred.fromCoroutine(self.flights.join(key, work))

    def test_shared(self) -> None:
        """Who comes while the work is being done gets the same result, and causes no work."""
        asking = [self.join("a") for _ in range(3)]
        self.assertEqual(len(self.begun), 1)
        self.assertNoResult(asking[2])

        self.begun[0].callback("done")

        self.assertEqual([self.successResultOf(one) for one in asking], ["done"] * 3)

    def test_other_keys(self) -> None:
        """Different keys are different work."""
        one, other = self.join("a"), self.join("b")

        self.begun[1].callback("of b")

        self.assertEqual(self.successResultOf(other), "of b")
        self.assertNoResult(one)

    def test_flying(self) -> None:
        """It can be told whether a key's work is being done, and only until it is done."""
        self.assertFalse(self.flights.flying("a"))
        self.join("a")
        self.assertTrue(self.flights.flying("a"))
        self.assertFalse(self.flights.flying("b"))

        self.begun[0].callback("done")

        self.assertFalse(self.flights.flying("a"))

    def test_nothing_is_kept(self) -> None:
        """Who comes after the work is done begins it anew: a flight is no cache."""
        earlier = self.join("a")
        self.begun[0].callback("old")
        self.assertEqual(self.successResultOf(earlier), "old")
        later = self.join("a")

        self.begun[1].callback("new")

        self.assertEqual(self.successResultOf(later), "new")

    def test_work_that_needs_no_waiting(self) -> None:
        """Work that is done at once is answered at once."""

        async def work() -> str:
            return "at once"

        self.assertEqual(self.successResultOf(Deferred.fromCoroutine(self.flights.join("a", work))), "at once")
        self.assertFalse(self.flights.flying("a"))

    def test_failure_reaches_all(self) -> None:
        """If the work fails, it fails for everybody who waits, and the next one may try again."""
        asking = [self.join("a") for _ in range(3)]

        self.begun[0].errback(NotReady())

        for one in asking:
            self.failureResultOf(one, NotReady)
        self.join("a")
        self.assertEqual(len(self.begun), 2)

    def test_failure_at_once(self) -> None:
        """Work that fails before it waits for anything leaves nothing behind."""

        async def work() -> str:
            raise NotReady

        self.failureResultOf(Deferred.fromCoroutine(self.flights.join("a", work)), NotReady)
        self.assertFalse(self.flights.flying("a"))

    def test_follower_gives_up(self) -> None:
        """Who gives up waiting changes nothing for the others."""
        first, impatient, last = (self.join("a") for _ in range(3))

        impatient.cancel()
        self.failureResultOf(impatient, CancelledError)
        self.begun[0].callback("done")

        self.assertEqual([self.successResultOf(first), self.successResultOf(last)], ["done"] * 2)

    def test_first_gives_up(self) -> None:
        """The work belongs to nobody: if the one who has begun it gives up, the others still get it."""
        first, second = self.join("a"), self.join("a")

        first.cancel()
        self.failureResultOf(first, CancelledError)
        third = self.join("a")
        self.begun[0].callback("done")

        self.assertEqual([self.successResultOf(second), self.successResultOf(third)], ["done"] * 2)
        self.assertEqual(len(self.begun), 1)

    def test_all_give_up(self) -> None:
        """Work that nobody waits for any more ends unheard, also if it fails."""
        only = self.join("a")
        only.cancel()
        self.failureResultOf(only, CancelledError)

        self.begun[0].errback(NotReady())

        self.assertFalse(self.flights.flying("a"))

    def test_asking_again_from_within(self) -> None:
        """Who has its result may ask for the same key at once: that is new work."""

        async def twice() -> list[str]:
            return [await self.join("a"), await self.join("a")]

        self.join("a")
        asking = Deferred.fromCoroutine(twice())
        self.begun[0].callback("first")
        self.begun[1].callback("second")

        self.assertEqual(self.successResultOf(asking), ["first", "second"])


class TasksTests(SynchronousTestCase):
    """Background coroutines are logged if they fail, and waited for at the end."""

    def setUp(self) -> None:
        """No tasks yet."""
        self.tasks = Tasks()

    async def wait_for(self, event: Deferred[None]) -> None:
        """A task that ends with the event."""
        await event

    def finished(self) -> Deferred[None]:
        """Wait for all tasks."""
        return Deferred.fromCoroutine(self.tasks.finished())

    def test_runs_at_once(self) -> None:
        """A task begins when it is started, without anybody awaiting it."""
        begun: list[bool] = []

        async def begin() -> None:
            begun.append(True)

        self.tasks.start("begin", begin())

        self.assertEqual(begun, [True])

    def test_nothing_to_wait_for(self) -> None:
        """Without tasks, or with finished ones, the wait is over at once."""
        self.successResultOf(self.finished())
        over: Deferred[None] = Deferred()
        over.callback(None)
        self.tasks.start("over", self.wait_for(over))

        self.successResultOf(self.finished())

    def test_waits_for_all(self) -> None:
        """The end is when the last task has ended, one that was started meanwhile included."""
        events: list[Deferred[None]] = [Deferred() for _ in range(3)]
        for event in events[:2]:
            self.tasks.start("task", self.wait_for(event))
        waiting = self.finished()
        self.tasks.start("late", self.wait_for(events[2]))

        for event in events:
            self.assertNoResult(waiting)
            event.callback(None)

        self.successResultOf(waiting)

    def test_failure_is_logged(self) -> None:
        """A task that fails is logged with its traceback, and does not fail the wait."""
        event: Deferred[None] = Deferred()
        self.tasks.start("task", self.wait_for(event))
        waiting = self.finished()

        event.errback(ZeroDivisionError("in a task"))

        self.successResultOf(waiting)
        self.assertEqual([str(one.value) for one in self.flushLoggedErrors(ZeroDivisionError)], ["in a task"])

    def test_immediate_failure(self) -> None:
        """A task that fails before it waits for anything is logged as well, and not raised."""

        async def fail() -> None:
            raise ZeroDivisionError

        self.tasks.start("fail", fail())

        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.successResultOf(self.finished())


class TogetherTests(SynchronousTestCase):
    """Coroutines that run at the same time."""

    def setUp(self) -> None:
        """Two, which wait."""
        self.first: Deferred[str] = Deferred()
        self.second: Deferred[str] = Deferred()

        async def wait(until: Deferred[str]) -> str:
            return await until

        self.both = Deferred.fromCoroutine(together(wait(one) for one in (self.first, self.second)))

    def test_results(self) -> None:
        """They are in the order of the coroutines, whichever ends first."""
        self.second.callback("b")
        self.assertNoResult(self.both)
        self.first.callback("a")
        self.assertEqual(self.successResultOf(self.both), ["a", "b"])

    def test_failure(self) -> None:
        """All are waited for before one's failure is raised."""
        self.first.errback(NotReady())
        self.assertNoResult(self.both)
        self.second.callback("b")
        self.failureResultOf(self.both, NotReady)
