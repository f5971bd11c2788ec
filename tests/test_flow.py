"""Bodies as streams: two buffers each, back-pressure, limits, and every way to end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ClientGone, MalformedHttp, SlowClient, TooLarge
from pkgd.flow import BufferPool, Inflow
from tests.properties import bounded


class RecordingSource:
    """A source that notes what it is told."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def pause_body(self) -> None:
        """Note it."""
        self.calls.append("pause")

    def resume_body(self) -> None:
        """Note it."""
        self.calls.append("resume")

    def body_wanted(self) -> None:
        """Note it."""
        self.calls.append("wanted")


class FlowCase(SynchronousTestCase):
    """One inflow over a small pool, and both of its sides."""

    def setUp(self) -> None:
        """A pool of two buffers of eight bytes; a chunked body unless a test begins another."""
        self.source = RecordingSource()
        self.pool = BufferPool(size=8, count=2)
        self.inflow = Inflow(self.pool, self.source, None)

    def fill(self, data: bytes) -> None:
        """Bytes arrive, as far as there is room; all of them must fit."""
        room = self.inflow.room()
        assert room is not None
        room[: len(data)] = data
        self.inflow.filled(len(data))

    def start_read(self) -> Deferred[bytes]:
        """Begin to read, and copy what comes."""

        async def read() -> bytes:
            return bytes(await self.inflow.read())

        return Deferred.fromCoroutine(read())

    def read(self) -> bytes:
        """Read what is there already."""
        return self.successResultOf(self.start_read())

    def lent(self) -> int:
        """How many buffers are not in the pool."""
        free = list(iter(self.pool.take, None))
        for buffer in free:
            self.pool.give(buffer)
        return 2 - len(free)


class BufferPoolTests(SynchronousTestCase):
    """So many buffers and no more; who gets none is told when one is free."""

    def test_bounded(self) -> None:
        """No more buffers exist than were agreed, each of the agreed size."""
        pool = BufferPool(size=16, count=2)

        self.assertEqual([len(buffer) for buffer in (pool.take(), pool.take()) if buffer is not None], [16, 16])
        self.assertIsNone(pool.take())

    def test_reused(self) -> None:
        """A buffer that was given back is lent again before another is made."""
        pool = BufferPool(size=16, count=2)
        first = pool.take()
        assert first is not None

        pool.give(first)

        self.assertIs(pool.take(), first)

    def test_wakes_in_order(self) -> None:
        """Of those who wait, as many are woken as there are free buffers, who asked first first."""
        pool = BufferPool(size=1, count=3)
        lent = [pool.take() for _ in range(3)]
        woken: list[str] = []
        waiting: list[Callable[[], None]] = [
            lambda: woken.append("a"),
            lambda: woken.append("b"),
            lambda: woken.append("c"),
        ]
        for call in waiting:
            pool.when_free(call)

        assert lent[0] is not None
        pool.give(lent[0])

        self.assertEqual(woken, ["a"])

    def test_wakes_all_when_idle(self) -> None:
        """Once no buffer is lent, everybody is woken: who was woken before may have left and taken none."""
        pool = BufferPool(size=1, count=1)
        lent = pool.take()
        assert lent is not None
        woken: list[str] = []
        pool.when_free(lambda: woken.append("gone"))
        pool.when_free(lambda: woken.append("waits"))

        pool.give(lent)

        self.assertEqual(woken, ["gone", "waits"])

    def test_woken_once(self) -> None:
        """Who has been woken, or no longer cares, is not called again."""
        pool = BufferPool(size=1, count=1)
        lent = pool.take()
        assert lent is not None
        woken: list[str] = []

        def forgotten() -> None:
            woken.append("forgotten")

        pool.when_free(lambda: woken.append("a"))
        pool.when_free(forgotten)
        pool.forget(forgotten)
        pool.give(lent)
        again = pool.take()
        assert again is not None
        pool.give(again)

        self.assertEqual(woken, ["a"])


class ReadTests(FlowCase):
    """The reader's side."""

    def test_what_has_arrived(self) -> None:
        """A read returns all that has arrived since the last one."""
        self.fill(b"ab")
        self.fill(b"cd")

        self.assertEqual(self.read(), b"abcd")
        self.assertEqual(self.inflow.received, 4)

    def test_waits(self) -> None:
        """A read before anything has arrived waits for it."""
        reading = self.start_read()
        self.assertNoResult(reading)

        self.fill(b"ab")

        self.assertEqual(self.successResultOf(reading), b"ab")

    def test_end(self) -> None:
        """The end is an empty read, as often as one asks; a waiting read learns of it."""
        reading = self.start_read()

        self.inflow.end()

        self.assertEqual(self.successResultOf(reading), b"")
        self.assertEqual(self.read(), b"")

    def test_no_body(self) -> None:
        """A body of length 0 is at its end at once, and nobody is asked for it."""
        self.inflow = Inflow(self.pool, self.source, 0)

        self.assertEqual((self.read(), self.source.calls), (b"", []))

    def test_wanted_once(self) -> None:
        """The source hears of the first read, for that is when 100 Continue is due, and of no other."""
        self.assertEqual(self.source.calls, [])

        for _ in range(2):
            self.fill(b"a")
            self.read()

        self.assertEqual(self.source.calls, ["wanted"])

    def test_valid_until_next(self) -> None:
        """What a read has returned stays as it is while the next bytes arrive."""
        self.fill(b"ab")
        view = self.successResultOf(Deferred.fromCoroutine(self.inflow.read()))

        self.fill(b"XY")

        self.assertEqual(bytes(view), b"ab")
        self.assertEqual(self.read(), b"XY")

    def test_framing_only(self) -> None:
        """Bytes that were framing and no payload wake nobody and keep no buffer."""
        reading = self.start_read()

        self.fill(b"")

        self.assertNoResult(reading)
        self.assertEqual(self.lent(), 0)

    def test_read_all(self) -> None:
        """`read_all` returns the whole body, however it comes."""
        reading = Deferred.fromCoroutine(self.inflow.read_all(100))
        for piece in (b"ab", b"cdefgh", b"ij"):
            self.fill(piece)
        self.inflow.end()

        self.assertEqual(self.successResultOf(reading), b"abcdefghij")


class PressureTests(FlowCase):
    """Back-pressure: who has no room pauses its source, and resumes it when there is some."""

    def test_full_buffer(self) -> None:
        """A full buffer pauses the source once; the read that takes it resumes it."""
        self.fill(b"12345678")

        self.assertEqual((self.inflow.room(), self.inflow.room()), (None, None))
        self.assertEqual(self.source.calls, ["pause"])
        self.assertEqual(self.read(), b"12345678")
        self.assertEqual(self.source.calls, ["pause", "wanted", "resume"])

    def test_two_buffers(self) -> None:
        """While the reader works on one buffer another is filled, and there is no third."""
        self.fill(b"12345678")
        self.read()
        self.fill(b"abcdefgh")

        self.assertEqual(self.lent(), 2)
        self.assertIsNone(self.inflow.room())

    def test_empty_pool(self) -> None:
        """Without a free buffer the source is paused, and resumed when another request gives one back."""
        others = [self.pool.take(), self.pool.take()]

        self.assertIsNone(self.inflow.room())
        self.assertEqual(self.source.calls, ["pause"])
        assert others[0] is not None
        self.pool.give(others[0])
        self.assertEqual(self.source.calls, ["pause", "resume"])

    def test_remaining_room(self) -> None:
        """The room is what is left of the buffer, so that small pieces share one."""
        self.fill(b"123")

        self.assertEqual(len(self.inflow.room() or b""), 5)

    def test_close(self) -> None:
        """Closing returns every buffer, read or not, and may be done twice."""
        self.fill(b"ab")
        self.read()
        self.fill(b"cd")

        self.inflow.close()
        self.inflow.close()

        self.assertEqual(self.lent(), 0)

    def test_close_while_waiting(self) -> None:
        """Who closes no longer waits for a buffer."""
        others = [self.pool.take(), self.pool.take()]
        self.inflow.room()
        self.inflow.close()

        assert others[0] is not None
        self.pool.give(others[0])

        self.assertEqual(self.source.calls, ["pause"])


class FailureTests(FlowCase):
    """A body that breaks off: what had arrived counts, then the reason is told."""

    def test_delivered_first(self) -> None:
        """What arrived before the failure is still read; then each read fails."""
        self.fill(b"ab")
        self.inflow.fail(ClientGone())

        self.assertEqual(self.read(), b"ab")
        for _ in range(2):
            self.failureResultOf(self.start_read(), ClientGone)

    def test_waiting_read(self) -> None:
        """A read that waits fails at once."""
        reading = self.start_read()

        self.inflow.fail(SlowClient())

        self.failureResultOf(reading, SlowClient)

    def test_first_reason(self) -> None:
        """The first failure is the one that is told."""
        self.inflow.fail(MalformedHttp(400, "malformed chunk size"))
        self.inflow.fail(ClientGone())

        self.failureResultOf(self.start_read(), MalformedHttp)

    def test_after_the_end(self) -> None:
        """A connection that is lost after the whole body has arrived changes nothing."""
        self.fill(b"ab")
        self.inflow.end()
        self.inflow.fail(ClientGone())

        self.assertEqual([self.read(), self.read()], [b"ab", b""])


class LimitTests(FlowCase):
    """Limits: known lengths are refused at once, unknown ones as soon as they are exceeded."""

    def test_known_length(self) -> None:
        """A Content-Length beyond the limit is refused before a byte is asked for."""
        self.inflow = Inflow(self.pool, self.source, 11)

        self.assertRaises(TooLarge, self.inflow.set_limit, 10)
        self.failureResultOf(Deferred.fromCoroutine(self.inflow.read_all(10)), TooLarge)
        self.assertEqual(self.source.calls, [])

    def test_exact(self) -> None:
        """A body of exactly the limit is taken."""
        self.inflow = Inflow(self.pool, self.source, 4)
        reading = Deferred.fromCoroutine(self.inflow.read_all(4))
        self.fill(b"abcd")
        self.inflow.end()

        self.assertEqual(self.successResultOf(reading), b"abcd")

    def test_chunked(self) -> None:
        """A chunked body is refused with the byte that exceeds the limit, and nothing of it is delivered."""
        reading = Deferred.fromCoroutine(self.inflow.read_all(4))
        self.fill(b"abcd")
        self.assertNoResult(reading)

        self.fill(b"e")

        error = self.failureResultOf(reading, TooLarge).value
        self.assertEqual(error.limit, 4)

    def test_arrived_before(self) -> None:
        """Also a body that had arrived whole before the limit was set is held to it."""
        self.fill(b"abcde")
        self.inflow.end()

        self.failureResultOf(Deferred.fromCoroutine(self.inflow.read_all(4)), TooLarge)

    def test_buffers_return(self) -> None:
        """A refused body keeps no buffer once it is closed."""
        self.inflow.set_limit(4)
        self.fill(b"abcde")

        self.inflow.close()

        self.assertEqual(self.lent(), 0)


class PropertyTests(SynchronousTestCase):
    """However pieces and reads alternate, no byte is lost, doubled or reordered, and no buffer leaks."""

    @bounded
    @given(st.lists(st.binary(max_size=8) | st.just(None), max_size=20))
    def test_interleaving(self, steps: list[bytes | None]) -> None:
        """A step is a piece that arrives, or a read."""
        pool, source = BufferPool(size=8, count=2), RecordingSource()
        inflow = Inflow(pool, source, None)
        sent, got = bytearray(), bytearray()

        def receive(reading: Deferred[Any]) -> None:
            reading.addCallback(got.extend)

        for step in steps:
            room = None if step is None else inflow.room()
            if step is None and len(got) < len(sent):
                receive(Deferred.fromCoroutine(inflow.read()))
            elif step is not None and room is not None:
                piece = step[: len(room)]
                room[: len(piece)] = piece
                inflow.filled(len(piece))
                sent += piece
        inflow.end()
        receive(Deferred.fromCoroutine(inflow.read_all(1000)))
        inflow.close()

        self.assertEqual(bytes(got), bytes(sent))
        self.assertEqual((pool.take() is None, pool.take() is None, pool.take()), (False, False, None))
