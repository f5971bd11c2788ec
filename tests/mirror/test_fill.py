"""A blob on its way: what its readers see, and when; what an answer must be to be poured into it."""

from __future__ import annotations

import errno
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import Blocking, InlineBlocking
from pkgd.errors import FailedStorage, NoSpace, NotReady, PkgdError, Storage, UpstreamCorrupt, UpstreamUnavailable
from pkgd.formats.digest import Digest
from pkgd.mirror.fill import FLUSH_BYTES, PROMPT_BYTES, STEP_BYTES, WAKE_SECONDS, Fill, FillReader
from pkgd.mirror.upstream import Stream
from pkgd.storage.staged import StagedFile
from tests.fixtures import HeldBlocking
from tests.mirror.fill_fixtures import APP, Follower
from tests.mirror.scripted import HUB, Reply, ScriptedUpstream, Sender, cut, part
from tests.storage.fixtures import FaultyFileSystem, Place

DATA = bytes(range(256)) * 40
DIGEST = Digest.of(DATA)
EMPTY = Digest.of(b"")


class FillCase(SynchronousTestCase):
    """A fill on a spool of its own, an upstream, and how much room was made."""

    def setUp(self) -> None:
        """Nothing has come yet."""
        self.fs = FaultyFileSystem()
        self.upstream = ScriptedUpstream(HUB)
        self.room: list[int] = []
        self.clock = Clock()
        self.addCleanup(self.give_up)
        self.pours: list[Deferred[None]] = []
        self.fills: list[Fill] = []
        self.make()

    def give_up(self) -> None:
        """Let nothing wait for ever."""
        for one in self.pours:
            one.addErrback(lambda failure: failure.trap(PkgdError))
        for fill in self.fills:
            fill.fail(NotReady())
        for sender in self.upstream.senders:
            sender.fail(UpstreamUnavailable(HUB, "is gone"))

    def make(self, digest: Digest = DIGEST, blocking: Blocking | None = None) -> None:
        """Make the fill that the test is about."""
        self.blocking = InlineBlocking() if blocking is None else blocking
        self.place = Place(self.mktemp(), self.fs, self.blocking)
        self.fill = Fill(digest, self.place.spool, self.blocking, self.clock, self.make_room)
        self.fills.append(self.fill)

    async def make_room(self, size: int) -> None:
        """There is as much as anybody wants."""
        self.room.append(size)

    def stream(self, reply: Reply) -> Stream:
        """An upstream's answer."""
        self.upstream.script = [reply]
        stream = self.successResultOf(Deferred.fromCoroutine(self.upstream.stream(APP, "blobs/x", "", {})))
        assert stream is not None
        return stream

    def pour(self, reply: Reply) -> Deferred[None]:
        """Pour an answer in."""
        stream = self.stream(reply)

        async def pour() -> None:
            try:
                await self.fill.pour(stream, HUB)
            finally:
                stream.close()

        self.pours.append(Deferred.fromCoroutine(pour()))
        return self.pours[-1]

    def poured(self, reply: Reply) -> None:
        """Pour an answer in that has come whole."""
        self.successResultOf(self.pour(reply))

    def refused(self, reply: Reply, kind: type[Exception]) -> Any:
        """The error of an answer that cannot be poured in."""
        return self.failureResultOf(self.pour(reply), kind).value

    @property
    def sender(self) -> Sender:
        """The other end of the last answer."""
        return self.upstream.senders[-1]

    def reader(self) -> FillReader:
        """A reader, once there can be one."""
        return self.successResultOf(Deferred.fromCoroutine(self.fill.reader()))

    def verify(self) -> StagedFile:
        """Find it to be what it should be."""
        return self.successResultOf(Deferred.fromCoroutine(self.fill.verify(HUB)))

    def close(self) -> None:
        """End it."""
        self.successResultOf(Deferred.fromCoroutine(self.fill.close()))


class ReaderTests(FillCase):
    """What readers see while it grows."""

    def setUp(self) -> None:
        """Some of it has come."""
        super().setUp()
        self.pouring = self.pour(Reply(DATA[:4000], length=len(DATA), ends=False))

    def finish(self) -> None:
        """The rest comes, and is right."""
        self.sender.send(DATA[4000:])
        self.sender.end()
        self.successResultOf(self.pouring)
        self.verify()

    def test_size(self) -> None:
        """The size is known as soon as the upstream has answered, before any byte has come."""
        self.make()
        opening = Deferred.fromCoroutine(self.fill.reader())
        self.assertNoResult(opening)

        self.pour(Reply(length=len(DATA), ends=False))

        self.assertEqual(self.successResultOf(opening).size, len(DATA))

    def test_paces(self) -> None:
        """Each reader goes at its own pace from where it wants to; whoever comes late gets all the same."""
        fast = Follower(self.reader())
        slow = Follower(self.reader(), window=10)
        ranged = Follower(self.reader(), start=3990, end=4010)
        self.assertEqual((fast.data, slow.data, ranged.data), (DATA[:4000], DATA[:10], DATA[3990:4000]))

        self.sender.send(DATA[4000:5000])
        self.assertEqual((fast.data, slow.data, ranged.data), (DATA[:5000], DATA[:10], DATA[3990:4010]))
        self.assertTrue(ranged.done)

        self.finish_from(5000)
        late = Follower(self.reader(), start=len(DATA) - 1)
        slow.take(len(DATA))
        for one, data in ((fast, DATA), (slow, DATA), (late, DATA[-1:])):
            self.assertEqual((one.data, one.done), (data, True))

    def finish_from(self, offset: int) -> None:
        """The rest from there on comes, and is right."""
        self.sender.send(DATA[offset:])
        self.sender.end()
        self.successResultOf(self.pouring)
        self.verify()

    def test_last_byte_withheld(self) -> None:
        """The last byte waits for the digest, for readers of a range as well."""
        whole, last = Follower(self.reader()), Follower(self.reader(), start=len(DATA) - 1)

        self.sender.send(DATA[4000:])
        self.sender.end()
        self.successResultOf(self.pouring)
        self.assertEqual((whole.data, last.data), (DATA[:-1], b""))

        self.verify()
        self.assertEqual((whole.data, last.data), (DATA, DATA[-1:]))

    def test_wrong_digest(self) -> None:
        """Bytes that are not the right ones never show their last one, and fail every reader, once."""
        readers = [Follower(self.reader()) for _ in range(3)]
        self.sender.send(DATA[4000:-1] + b"!")
        self.sender.end()
        self.successResultOf(self.pouring)

        error = self.failureResultOf(Deferred.fromCoroutine(self.fill.verify(HUB)), UpstreamCorrupt).value
        self.fill.fail(error)
        self.fill.fail(NotReady())

        for one in readers:
            self.assertEqual((one.data, one.error, one.errors), (DATA[:-1], error, 1))
        self.assertIs(self.failureResultOf(Deferred.fromCoroutine(self.fill.reader())).value, error)

    def test_failure(self) -> None:
        """What has come before a failure can still be read; then every reader fails, those that come later at once."""
        slow = Follower(self.reader(), window=10)
        error = UpstreamUnavailable(HUB, "is gone")

        self.fill.fail(error)

        self.assertIs(self.failureResultOf(self.pouring).value, error)
        slow.take(len(DATA))
        self.assertEqual((slow.data, slow.error), (DATA[:4000], error))
        self.assertIs(self.failureResultOf(Deferred.fromCoroutine(self.fill.reader())).value, error)

    def test_leaving(self) -> None:
        """Readers that leave, all of them even, change nothing."""
        readers = [Follower(self.reader(), window=10) for _ in range(3)]
        for one in readers:
            one.leave()

        self.finish()

        self.assertEqual(Follower(self.reader()).data, DATA)

    def test_descriptor(self) -> None:
        """One descriptor serves all readers; it is closed when the fetch is over and the last one has left."""
        first, second = Follower(self.reader(), window=10), Follower(self.reader(), window=10)
        self.assertEqual(len(self.fs.open_files), 2)  # one to write, one to read
        self.finish()
        self.close()

        first.leave()
        self.assertEqual(len(self.fs.open_files), 1)
        second.take(len(DATA))

        self.assertEqual((second.data, self.fs.open_files), (DATA, set()))

    def test_descriptor_without_readers(self) -> None:
        """Without readers nothing is open once the fetch is over, nor is anything left in the spool."""
        self.finish()

        self.close()

        self.assertEqual(self.fs.open_files, set())
        self.assertRaises(FileNotFoundError, self.fs.stat, self.fill.file.path if self.fill.file else "")

    def test_too_late(self) -> None:
        """When it is over, and its descriptor closed, there is no reader any more: what was kept is elsewhere."""
        self.finish()
        self.close()

        self.failureResultOf(Deferred.fromCoroutine(self.fill.reader()), FailedStorage)

    def test_unremovable(self) -> None:
        """A file that cannot be removed keeps no descriptor open."""
        self.finish()
        self.fs.fail_calls("unlink")

        self.failureResultOf(Deferred.fromCoroutine(self.fill.close()), FailedStorage)

        self.assertEqual(self.fs.open_files, set())

    def test_closed_reader(self) -> None:
        """A closed reader reads no more; closing it again does nothing."""
        reader = self.reader()
        reader.close()
        reader.close()

        self.failureResultOf(Deferred.fromCoroutine(reader.available(0)), FailedStorage)
        self.assertEqual(self.fill._readers, 0)

    def test_sendfile(self) -> None:
        """The descriptor can be handed to sendfile, though it is not the one that is written to."""
        reader = self.reader()

        self.assertIn(reader.fileno(), self.fs.open_files)
        self.assertEqual(reader.read_at(3998, 100), DATA[3998:4000])


class WakingTests(FillCase):
    """How often readers that wait are woken: it costs something for each of them."""

    def setUp(self) -> None:
        """A large blob begins, and somebody waits."""
        super().setUp()
        self.size = PROMPT_BYTES + 5000
        self.pour(Reply(length=self.size, ends=False))
        self.looks: list[int] = []
        self.watch()

    def watch(self) -> None:
        """Note whenever more is available."""
        reader = self.reader()

        async def look() -> None:
            offset = 0
            while True:
                offset = await reader.available(offset)
                self.looks.append(offset)

        Deferred.fromCoroutine(look()).addErrback(lambda _: reader.close())

    def test_at_first(self) -> None:
        """The first bytes are told at once: somebody may be waiting for a first byte."""
        for _ in range(3):
            self.sender.send(b"x" * 10)

        self.assertEqual(self.looks, [10, 20, 30])

    def test_batches(self) -> None:
        """Of a large blob, what comes within a moment is told together, and not later than that."""
        self.sender.send(b"x" * (PROMPT_BYTES + 1))
        self.clock.advance(WAKE_SECONDS)
        before = list(self.looks)

        for _ in range(50):
            self.sender.send(b"x" * 10)
        self.assertEqual((self.looks, len(self.clock.getDelayedCalls())), (before, 1))
        self.clock.advance(WAKE_SECONDS)

        self.assertEqual(self.looks, [*before, PROMPT_BYTES + 501])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class PouringTests(FillCase):
    """Answers, one after the other."""

    def test_whole(self) -> None:
        """A whole answer is all that it takes. Room is made for all of it before the first byte."""
        self.poured(Reply(DATA))

        self.assertEqual((self.fill.received, self.fill.size, self.room), (len(DATA), len(DATA), [len(DATA)]))
        self.assertEqual(self.verify().size, len(DATA))

    def test_strong_digest(self) -> None:
        """A sha512 is verified as one."""
        self.make(Digest.of(DATA, "sha512"))
        self.poured(Reply(DATA))

        self.verify()

    def test_cut(self) -> None:
        """What has come before a cut is kept, and the rest is taken from the next answer."""
        self.refused(cut(DATA, 4000), UpstreamUnavailable)
        self.refused(cut(DATA, 100, start=4000), UpstreamUnavailable)
        self.assertEqual(self.fill.received, 4100)

        self.poured(part(DATA, 4100))

        self.assertEqual(self.verify().size, len(DATA))

    def test_short(self) -> None:
        """A body that ends before all of it has come is as good as cut."""
        error = self.refused(Reply(DATA[:4000], 200, {}, len(DATA)), UpstreamUnavailable)

        self.assertIn("early", error.message)

    def test_range_ignored(self) -> None:
        """Where the next answer is the whole again, what is there already is skipped."""
        self.refused(cut(DATA, 4000), UpstreamUnavailable)
        reader = Follower(self.reader())

        pouring = self.pour(Reply(DATA[:3000], length=len(DATA), ends=False))
        self.sender.send(DATA[3000:4500])
        self.assertEqual(reader.data, DATA[:4500])
        self.sender.send(DATA[4500:])
        self.sender.end()

        self.successResultOf(pouring)
        self.verify()
        self.assertEqual(reader.data, DATA)

    def test_cut_again_earlier(self) -> None:
        """A whole answer that is cut before where we are changes nothing."""
        self.refused(cut(DATA, 4000), UpstreamUnavailable)

        self.refused(cut(DATA, 1000), UpstreamUnavailable)

        self.assertEqual(self.fill.received, 4000)

    def test_wrong_parts(self) -> None:
        """Another part than was asked for, or one whose place is not told, is no use."""
        self.refused(cut(DATA, 4000), UpstreamUnavailable)
        total = len(DATA)
        for told in (
            f"bytes 3999-{total - 1}/{total}",
            f"bytes 4001-{total - 1}/{total}",
            f"bytes 4000-{total - 2}/{total}",
            f"bytes 4000-{total - 1}/*",
            f"bytes 4000-{total}/{total}",
            "bytes */10240",
            "items 4000-10239/10240",
            "",
        ):
            self.refused(Reply(DATA[4000:], 206, {"Content-Range": told}), UpstreamCorrupt)

        self.assertEqual(self.fill.received, 4000)

    def test_part_not_asked_for(self) -> None:
        """So is a part in place of the whole."""
        self.refused(Reply(DATA, 206, {"Content-Range": f"bytes 0-{len(DATA) - 1}/{len(DATA)}"}), UpstreamCorrupt)

        self.assertIsNone(self.fill.file)

    def test_other_size(self) -> None:
        """An answer that states another size than the first one is about something else."""
        self.refused(cut(DATA, 4000), UpstreamUnavailable)
        for size in (len(DATA) - 1, len(DATA) + 1, 4000):
            self.refused(Reply(DATA, length=size, ends=False), UpstreamCorrupt)

    def test_too_long(self) -> None:
        """More than was announced is refused, and not written."""
        self.refused(cut(DATA, 4000), UpstreamUnavailable)
        error = self.refused(Reply(DATA + b"!", length=None), UpstreamCorrupt)

        self.assertIn("more", error.message)
        self.assertEqual(self.fill.received, 4000)

    def test_nothing(self) -> None:
        """An empty answer for what is not empty has been made up; no file is made for it."""
        self.refused(Reply(b""), UpstreamCorrupt)

        self.assertIsNone(self.fill.file)

    def test_empty(self) -> None:
        """A blob of no bytes is one, too."""
        self.make(EMPTY)
        self.poured(Reply(b""))
        reader = Follower(self.reader())
        self.verify()

        self.assertEqual((reader.data, reader.done, self.fill.size), (b"", True, 0))

    def test_empty_of_unknown_length(self) -> None:
        """Also if that is only told by its end."""
        self.make(EMPTY)
        opening = Deferred.fromCoroutine(self.fill.reader())
        self.poured(Reply(b"", length=None))
        self.assertNoResult(opening)

        self.verify()

        self.assertEqual(self.successResultOf(opening).size, 0)


class UnknownLengthTests(FillCase):
    """A body whose length nobody tells."""

    def test_readers_wait(self) -> None:
        """Our answers have a length, so readers wait until it is known; then all of it is there."""
        opening = Deferred.fromCoroutine(self.fill.reader())
        self.poured(Reply(DATA, length=None))
        self.assertNoResult(opening)

        self.verify()

        self.assertEqual(Follower(self.successResultOf(opening)).data, DATA)

    def test_wrong_digest(self) -> None:
        """Nobody sees a byte of what turns out to be wrong."""
        opening = Deferred.fromCoroutine(self.fill.reader())
        self.poured(Reply(DATA[:-1], length=None))
        error = self.failureResultOf(Deferred.fromCoroutine(self.fill.verify(HUB)), UpstreamCorrupt).value

        self.fill.fail(error)

        self.assertIs(self.failureResultOf(opening).value, error)

    def test_told_later(self) -> None:
        """An answer that resumes it tells the length, and readers begin."""
        opening = Deferred.fromCoroutine(self.fill.reader())
        self.refused(Reply(DATA[:4000], length=None, ends=UpstreamUnavailable(HUB, "is gone")), UpstreamUnavailable)

        pouring = self.pour(part(DATA, 4000, ends=False))

        self.assertEqual(self.successResultOf(opening).size, len(DATA))
        self.sender.end()
        self.successResultOf(pouring)
        self.verify()

    def test_less_than_has_come(self) -> None:
        """A length that has been exceeded already is that of something else."""
        self.refused(Reply(DATA[:4000], length=None, ends=UpstreamUnavailable(HUB, "is gone")), UpstreamUnavailable)

        self.refused(Reply(DATA[:3999]), UpstreamCorrupt)

    def test_room(self) -> None:
        """Room is made step by step, and what finds none is given up: it may have no end."""
        allowed = 3

        async def make_room(size: int) -> None:
            self.room.append(size)
            if len(self.room) > allowed:
                raise NoSpace("cache")

        self.fill = Fill(DIGEST, self.place.spool, self.blocking, self.clock, make_room)
        pouring = self.pour(Reply(length=None, ends=False))
        while not pouring.called:
            self.sender.send(b"x" * (1 << 20))

        self.failureResultOf(pouring, NoSpace)
        self.assertEqual(self.room, [STEP_BYTES] * (allowed + 1))
        self.assertEqual(self.fill.received, allowed * STEP_BYTES)
        self.close()


class StorageTests(FillCase):
    """The disk refuses."""

    def test_no_room(self) -> None:
        """Without room there is no file, and readers that wait learn why."""

        async def none(size: int) -> None:
            raise NoSpace("cache")

        self.fill = Fill(DIGEST, self.place.spool, self.blocking, self.clock, none)

        self.refused(Reply(DATA), NoSpace)

        self.assertIsNone(self.fill.file)
        self.assertEqual(self.fs.counts["write"], 0)

    def test_full_disk(self) -> None:
        """A full disk ends it; the buffer is given back."""
        pouring = self.pour(Reply(DATA[:10], length=len(DATA), ends=False))
        self.fs.fail_calls("write", error=errno.ENOSPC)

        self.sender.send(DATA[10:])

        self.failureResultOf(pouring, NoSpace)
        self.assertEqual(self.upstream.lent_buffers, 0)

    def test_flush(self) -> None:
        """While a large blob comes it is sent to the disk; a disk that loses some of it is believed at the end."""
        self.fs.fail_calls("fdatasync")
        pouring = self.pour(Reply(length=FLUSH_BYTES + 1, ends=False))
        for _ in range(FLUSH_BYTES >> 20):
            self.sender.send(b"x" * (1 << 20))

        self.assertEqual(self.fs.counts["fdatasync"], 1)
        assert self.fill.file is not None
        self.assertRaises(Storage, self.fill.file.check)
        self.sender.fail(UpstreamUnavailable(HUB, "is gone"))
        self.failureResultOf(pouring)
        self.close()

    def test_close_waits_for_flush(self) -> None:
        """The file is not closed beneath a flush."""
        held = HeldBlocking()
        self.make(blocking=held)
        self.fill._flush_at = 10
        pouring = self.pour(Reply(DATA[:100], length=len(DATA), ends=False))
        while self.fill._flushing is None:
            self.assertTrue(held.release())
        self.fill.fail(NotReady())
        self.failureResultOf(pouring, NotReady)

        closing = Deferred.fromCoroutine(self.fill.close())
        self.assertEqual((len(held), self.fs.counts["unlink"]), (1, 0))  # the flush alone

        held.release_all()
        self.successResultOf(closing)
        self.assertEqual((self.fs.counts["fdatasync"], self.fs.counts["unlink"]), (1, 1))


class FailingTests(FillCase):
    """`fail`, at every moment: nothing goes on waiting for an upstream."""

    def test_before_the_answer(self) -> None:
        """An answer that comes afterwards is not read."""
        self.fill.fail(NotReady())

        self.refused(Reply(length=len(DATA), ends=False), NotReady)

        self.assertFalse(self.sender.wanted)
        self.close()

    def test_while_beginning(self) -> None:
        """One that comes just then is not read either."""
        held = HeldBlocking()
        self.make(blocking=held)
        pouring = self.pour(Reply(length=len(DATA), ends=False))

        self.fill.fail(NotReady())
        held.release_all()

        self.failureResultOf(pouring, NotReady)
        self.assertFalse(self.sender.wanted)
        closing = Deferred.fromCoroutine(self.fill.close())
        held.release_all()
        self.successResultOf(closing)
        self.assertEqual(self.fs.open_files, set())

    def test_while_waiting(self) -> None:
        """A body that does not come any more is not waited for."""
        pouring = self.pour(Reply(DATA[:10], length=len(DATA), ends=False))

        self.fill.fail(NotReady())

        self.failureResultOf(pouring, NotReady)

    def test_while_writing(self) -> None:
        """What a thread is writing is finished first: its buffer is lent."""
        held = HeldBlocking()
        self.make(blocking=held)
        pouring = self.pour(Reply(DATA[:10], length=len(DATA), ends=False))
        held.release()
        held.release()

        self.fill.fail(NotReady())

        self.assertNoResult(pouring)
        self.assertEqual(self.upstream.lent_buffers, 1)
        held.release()
        self.failureResultOf(pouring, NotReady)
        closing = Deferred.fromCoroutine(self.fill.close())
        held.release_all()
        self.successResultOf(closing)

    def test_what_has_come(self) -> None:
        """What has come by then, and is not written yet, is not written any more."""
        held = HeldBlocking()
        self.make(blocking=held)
        pouring = self.pour(Reply(DATA[:10], length=len(DATA), ends=False))
        held.release()
        held.release()
        self.sender.send(DATA[10:20])

        self.fill.fail(NotReady())
        held.release_all()

        self.failureResultOf(pouring, NotReady)
        self.assertEqual(self.fill.received, 10)
        closing = Deferred.fromCoroutine(self.fill.close())
        held.release_all()
        self.successResultOf(closing)

    def test_before_verifying(self) -> None:
        """What was failed is not found right afterwards."""
        self.poured(Reply(DATA))
        reader = Follower(self.reader())
        self.fill.fail(NotReady())

        self.failureResultOf(Deferred.fromCoroutine(self.fill.verify(HUB)), NotReady)

        self.assertEqual((reader.data, reader.errors), (DATA[:-1], 1))

    def test_after_verifying(self) -> None:
        """What was found right stays so: readers get the end of it."""
        self.poured(Reply(DATA))
        reader = Follower(self.reader(), window=10)
        self.verify()

        self.fill.fail(NotReady())

        reader.take(len(DATA))
        self.assertEqual((reader.data, reader.error), (DATA, None))
        self.assertEqual(Follower(self.reader()).data, DATA)
