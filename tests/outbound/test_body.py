"""Bodies of answers: whole or an error, at our pace, and no slower than is bearable."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred

from pkgd.errors import TooLarge, UpstreamCorrupt, UpstreamTimeout, UpstreamUnavailable
from pkgd.outbound.body import DRAIN_TIME, DRAINED
from pkgd.outbound.client import Answer
from tests.outbound.exchanges import ClientCase, ok
from tests.outbound.network import Wire

BUFFER = 8192
EARLY = "the upstream quay.io closed the connection early"


class BodyCase(ClientCase):
    """An answer whose body has begun."""

    def begun(self, length: int, body: bytes = b"") -> tuple[Answer, Wire]:
        """An answer of so many bytes."""
        return self.answered(ok(b"Content-Length: %d" % length, body=body))

    def chunked(self, body: bytes = b"") -> tuple[Answer, Wire]:
        """A chunked answer."""
        return self.answered(ok(b"Transfer-Encoding: chunked", body=body))

    def deliver(self, wire: Wire, data: bytes) -> None:
        """Bytes arrive, and are read as far as they are."""
        wire.deliver(data)
        self.network.advance(0)


class EndTests(BodyCase):
    """How a body ends."""

    def test_with_the_head(self) -> None:
        """A body may come with the head."""
        answer, _ = self.begun(5, b"hello")

        self.assertEqual(self.successResultOf(self.read_all(answer)), b"hello")
        answer.close()

    def test_after_the_head(self) -> None:
        """It may come later, and in pieces; each is read as it comes."""
        answer, wire = self.begun(5)
        for piece in [b"he", b"llo"]:
            reading = self.read(answer)
            self.assertNoResult(reading)
            self.deliver(wire, piece)
            self.assertEqual(self.successResultOf(reading), piece)

        self.assertEqual(self.successResultOf(self.read(answer)), b"")
        answer.close()

    def test_chunked(self) -> None:
        """Chunks are taken apart."""
        answer, wire = self.chunked(b"2\r\nhe\r\n")
        reading = self.read_all(answer)
        self.deliver(wire, b"3;a=b\r\nllo\r\n0\r\nTrailer: x\r\n\r\n")

        self.assertEqual((answer.length, self.successResultOf(reading)), (None, b"hello"))
        answer.close()

    def test_cut(self) -> None:
        """A body that ends before its length is an error, behind what has arrived."""
        for end in [Wire.end, Wire.cut]:
            for begin in [lambda: self.begun(10, b"hello"), lambda: self.chunked(b"5\r\nhello\r\n")]:
                answer, wire = begin()
                self.assertEqual(self.successResultOf(self.read(answer)), b"hello")
                reading = self.read(answer)
                end(wire)
                self.assertEqual(self.failure(reading, UpstreamUnavailable), EARLY)
                self.assertEqual(self.failure(self.read(answer), UpstreamUnavailable), EARLY)
                answer.close()

    def test_cut_before_it_is_read(self) -> None:
        """It does not matter that nobody had begun to read."""
        answer, wire = self.begun(10, b"hello")
        wire.cut()

        self.assertEqual(self.successResultOf(self.read(answer)), b"hello")
        self.assertEqual(self.failure(self.read(answer), UpstreamUnavailable), EARLY)
        answer.close()

    def test_cut_within_chunks(self) -> None:
        """Chunks end with the last one, and with nothing else."""
        for body in [b"", b"5", b"5\r\n", b"5\r\nhel", b"5\r\nhello", b"5\r\nhello\r\n0\r\n", b"0\r\nA: b\r\n"]:
            answer, wire = self.chunked(body)
            reading = self.read_all(answer)
            wire.end()
            self.assertEqual(self.failure(reading, UpstreamUnavailable), EARLY, body)
            answer.close()

    def test_malformed_chunks(self) -> None:
        """What are no chunks is an error of its own."""
        for body in [
            b"x\r\n",
            b"5\r\nhelloworld",
            b"-5\r\n",
            b"+5\r\n",
            b"0x5\r\n",
            b"5 \r\n",
            b"a" * 2000,
            b"0\r\n" + b"A" * 70000,
        ]:
            answer, wire = self.chunked()
            reading = self.read_all(answer)
            self.deliver(wire, body)
            message = self.failure(reading, UpstreamCorrupt)
            self.assertEqual(message, "the upstream quay.io sends a malformed body", body[:20])
            self.network.advance(0)
            self.assertTrue(wire.lost)
            answer.close()

    def test_until_it_closes(self) -> None:
        """A body without a length may have been cut anywhere: it is an error even if the connection ends in order."""
        answer, wire = self.answered(ok(body=b"hello"))
        self.assertIsNone(answer.length)
        self.assertEqual(self.successResultOf(self.read(answer)), b"hello")
        reading = self.read(answer)
        wire.end()

        message = self.failure(reading, UpstreamCorrupt)
        self.assertEqual(message, "the upstream quay.io sends a body without saying how long it is")
        answer.close()

    def test_more_than_said(self) -> None:
        """What comes behind the body is not of it."""
        answer, wire = self.begun(5, b"hello world")

        self.assertEqual(self.successResultOf(self.read_all(answer)), b"hello")
        answer.close()
        self.deliver(wire, b"more")
        self.assertTrue(wire.lost)

    def test_too_large(self) -> None:
        """A reader with a limit gets no more than that, whether the length is said or not."""
        answer, wire = self.begun(100_000)
        self.failureResultOf(self.read_all(answer, 50_000), TooLarge)
        answer.close()
        self.network.advance(0)
        self.assertTrue(wire.lost)

        answer, wire = self.chunked(b"2000\r\n" + b"a" * 0x2000 + b"\r\n")
        reading = self.read_all(answer, 10_000)
        self.deliver(wire, b"2000\r\n" + b"a" * 0x2000 + b"\r\n")
        self.failureResultOf(reading, TooLarge)
        answer.close()
        self.network.advance(0)
        self.assertTrue(wire.lost)


class PressureTests(BodyCase):
    """Bytes wait at the upstream until there is room."""

    def test_before_it_is_read(self) -> None:
        """Until somebody reads, the connection is not read."""
        answer, wire = self.begun(100_000)
        self.deliver(wire, b"a" * 1000)
        self.assertEqual(wire.waiting, 1000)
        reading = self.read(answer)
        self.network.advance(0)

        self.assertEqual((len(self.successResultOf(reading)), wire.waiting), (1000, 0))
        answer.close()

    def test_no_room(self) -> None:
        """While the reader works on one buffer and another is full, the connection is not read."""
        answer, wire = self.begun(1_000_000)
        reading = self.read(answer)
        self.deliver(wire, b"a" * 100_000)
        self.assertEqual(len(self.successResultOf(reading)), BUFFER)
        self.assertTrue(wire.paused)
        before = wire.waiting
        self.network.advance(0)

        self.assertEqual(wire.waiting, before)
        answer.close()

    def test_everything_arrives(self) -> None:
        """Whatever the pace, all bytes arrive in order."""
        body = bytes(range(256)) * 1000
        answer, wire = self.begun(len(body))
        taken = b""
        reading = self.read(answer)
        for at in range(0, len(body), 50_000):
            wire.deliver(body[at : at + 50_000])
        while True:
            self.network.advance(0)
            piece = self.successResultOf(reading)
            if not piece:
                break
            taken += piece
            reading = self.read(answer)

        self.assertEqual(taken, body)
        answer.close()

    def test_no_buffers(self) -> None:
        """When all buffers are lent, bodies wait for one, and go on when it is back."""
        lent = [self.pool.take() for _ in range(4)]
        answer, wire = self.begun(10)
        reading = self.read_all(answer)
        self.deliver(wire, b"hello")
        self.deliver(wire, b"world")
        self.assertNoResult(reading)
        self.assertEqual((wire.paused, wire.waiting), (True, 5))
        for buffer in lent:
            assert buffer is not None
            self.pool.give(buffer)
        self.network.advance(0)

        self.assertEqual(self.successResultOf(reading), b"helloworld")
        answer.close()

    def test_no_buffers_with_the_head(self) -> None:
        """That also holds for a body that came with the head, whole or not."""
        for length in [5, 10]:
            lent = [self.pool.take() for _ in range(4)]
            answer, wire = self.begun(length, b"hello")
            reading = self.read(answer)
            self.assertNoResult(reading)
            self.assertEqual(wire.paused, length == 10)
            for buffer in lent:
                assert buffer is not None
                self.pool.give(buffer)
            self.assertEqual(self.successResultOf(reading), b"hello")
            answer.close()
            self.network.advance(0)

    def test_end_behind_what_waits(self) -> None:
        """The end is told behind the last byte, however long that has waited."""
        answer, wire = self.begun(BUFFER * 3)
        first = self.read(answer)
        wire.deliver(b"a" * BUFFER * 3)
        self.network.advance(0)
        pieces = [self.successResultOf(first)]
        while pieces[-1]:
            reading = self.read(answer)
            self.network.advance(0)
            pieces.append(self.successResultOf(reading))

        self.assertEqual(sum(map(len, pieces)), BUFFER * 3)
        answer.close()

    def test_error_behind_what_waits(self) -> None:
        """So is an error."""
        answer, wire = self.begun(BUFFER * 4)
        reading = self.read(answer)
        wire.deliver(b"a" * BUFFER * 3)
        self.network.advance(0)
        wire.cut()
        pieces = [
            self.successResultOf(reading),
            self.successResultOf(self.read(answer)),
            self.successResultOf(self.read(answer)),
        ]

        self.assertEqual([len(piece) for piece in pieces], [BUFFER] * 3)
        self.failureResultOf(self.read(answer), UpstreamUnavailable)
        answer.close()


class PatienceTests(BodyCase):
    """Upstreams that are too slow."""

    def test_silence(self) -> None:
        """A body that stops coming is given up, behind what has arrived, and its connection dropped."""
        answer, wire = self.begun(10, b"hello")
        self.assertEqual(self.successResultOf(self.read(answer)), b"hello")
        reading = self.read(answer)
        self.network.advance(30.1)

        self.assertEqual(self.failure(reading, UpstreamTimeout), "the upstream quay.io has stopped sending")
        self.network.advance(0)
        self.assertTrue(wire.lost)
        answer.close()

    def test_trickle(self) -> None:
        """A body that comes too slowly is given up as well."""
        answer, wire = self.begun(100_000)
        reading = self.read_all(answer)
        for _ in range(70):
            self.deliver(wire, b"a" * 10)
            self.network.advance(1)

        self.assertEqual(self.failure(reading, UpstreamTimeout), "the upstream quay.io sends too slowly")
        answer.close()

    def paused(self, length: int) -> tuple[Answer, Wire]:
        """A body of which one piece has been read, and for the rest of which there is no room."""
        answer, wire = self.begun(length)
        reading = self.read(answer)
        self.deliver(wire, b"a" * BUFFER * 3)
        self.assertEqual(len(self.successResultOf(reading)), BUFFER)
        self.assertTrue(wire.paused)
        return answer, wire

    def test_our_delay(self) -> None:
        """Time in which we do not read is not the upstream's: before the first piece, and between two."""
        answer, _ = self.begun(5)
        self.network.advance(1000)
        answer.close()
        self.network.advance(0)

        answer, wire = self.paused(BUFFER * 4)
        self.network.advance(1000)
        reading = self.read_all(answer)
        self.deliver(wire, b"a" * BUFFER)
        self.assertEqual(len(self.successResultOf(reading)), BUFFER * 3)
        answer.close()

    def test_silence_behind_our_delay(self) -> None:
        """After it, the upstream has its time again, and no more."""
        answer, _ = self.paused(BUFFER * 4)
        self.network.advance(1000)
        reading = self.read_all(answer)
        self.network.advance(29.9)
        self.assertNoResult(reading)
        self.network.advance(0.2)

        self.failureResultOf(reading, UpstreamTimeout)
        answer.close()


class CloseTests(BodyCase):
    """Leaving an answer."""

    def assert_dropped(self, answer: Answer, wire: Wire) -> None:
        """Closing the answer drops the connection, and can be repeated."""
        answer.close()
        answer.close()
        self.network.advance(0)
        self.assertTrue(wire.lost)

    def assert_kept(self, wire: Wire) -> None:
        """The connection serves the next request."""
        asking = self.request()
        self.assertTrue(wire.take().startswith(b"GET / "))
        asking.cancel()
        self.failureResultOf(asking, CancelledError)

    def test_read_to_the_end(self) -> None:
        """A connection whose body has been read is kept."""
        answer, wire = self.begun(5, b"hello")
        self.successResultOf(self.read_all(answer))
        answer.close()
        answer.close()

        self.assert_kept(wire)

    def test_arrived(self) -> None:
        """So is one whose body has arrived, read or not."""
        answer, wire = self.begun(5, b"hello")
        answer.close()

        self.assert_kept(wire)

    def test_long_rest(self) -> None:
        """A connection with much more to come is dropped: before reading, within, and when there is no room."""
        answer, wire = self.begun(DRAINED + 1)
        self.assert_dropped(answer, wire)

        answer, wire = self.begun(DRAINED + 6)
        reading = self.read(answer)
        self.deliver(wire, b"hello")
        self.successResultOf(reading)
        self.assert_dropped(answer, wire)

        answer, wire = self.begun(1_000_000)
        reading = self.read(answer)
        self.deliver(wire, b"a" * 100_000)
        self.successResultOf(reading)
        self.assert_dropped(answer, wire)

    def test_unknown_rest(self) -> None:
        """So is one of which nobody knows how much there is to come."""
        self.assert_dropped(*self.chunked(b"5\r\nhello\r\n"))

    def test_short_rest(self) -> None:
        """A short rest is read and thrown away, and the connection kept."""
        answer, wire = self.begun(DRAINED)
        answer.close()
        self.deliver(wire, b"a" * DRAINED)

        self.assert_kept(wire)

    def test_short_rest_within(self) -> None:
        """That also holds when reading had begun, and paused for want of room."""
        answer, wire = self.begun(BUFFER * 3 + 10)
        reading = self.read(answer)
        self.deliver(wire, b"a" * BUFFER * 3)
        self.successResultOf(reading)
        self.assertTrue(wire.paused)
        answer.close()
        self.deliver(wire, b"a" * 10)

        self.assert_kept(wire)

    def test_slow_rest(self) -> None:
        """It is not waited for long."""
        answer, wire = self.begun(10)
        answer.close()
        self.network.advance(DRAIN_TIME - 0.1)
        self.assertFalse(wire.lost)
        self.network.advance(0.2)
        self.network.advance(0)

        self.assertTrue(wire.lost)

    def test_rest_that_is_cut(self) -> None:
        """Nobody minds when it does not come."""
        answer, wire = self.begun(10)
        answer.close()
        wire.cut()
        self.network.advance(0)

        self.assertEqual(self.network.getDelayedCalls(), [])

    def test_reading(self) -> None:
        """Whoever reads at that moment gets an error."""
        answer, _ = self.begun(50_000)
        reading = self.read(answer)
        answer.close()

        self.failureResultOf(reading, UpstreamUnavailable)
        self.failureResultOf(self.read(answer), UpstreamUnavailable)

    def test_closed_by_its_reader(self) -> None:
        """A reader may leave as soon as it has some of it; no buffer is kept."""
        answer, wire = self.begun(1_000_000)

        async def read() -> None:
            await answer.body.read()
            answer.close()

        reading = Deferred.fromCoroutine(read())
        self.deliver(wire, b"a" * 100_000)
        self.successResultOf(reading)
        self.network.advance(0)

        self.assertTrue(wire.lost)

    def test_reading_is_cancelled(self) -> None:
        """A reader that is cancelled leaves the answer as it was; closing it drops the connection."""
        answer, wire = self.begun(50_000)
        reading = self.read(answer)
        reading.cancel()
        self.failureResultOf(reading, CancelledError)

        self.assert_dropped(answer, wire)
