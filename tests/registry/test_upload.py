"""One upload session: what its chunks have to be, and how the disk keeps pace with them."""

from __future__ import annotations

import os

from pkgd.errors import FailedStorage, InvalidSize, NoSpace, OffsetMismatch, TooLarge, UnknownUpload
from pkgd.formats.byterange import ByteRange
from pkgd.registry.upload import FLUSH_BYTES, UploadSession
from tests.registry.fixtures import APP, Client, Registry, body
from tests.registry.test_uploads import HELLO, UploadCase
from tests.storage.fixtures import FaultyFileSystem


class OffsetTests(UploadCase):
    """Each chunk at its place, or not at all (distribution-spec, "Pushing a blob in chunks")."""

    def test_in_order(self) -> None:
        """Chunks at the session's offset are taken, at the end as well."""
        session = self.start()
        self.append(session, b"hello", ByteRange(0, 5))
        self.append(session, b" wor", ByteRange(5, 9))

        self.do(self.registry.uploads.commit(session, HELLO, body(b"ld"), ByteRange(9, 11)))

        self.assertEqual(self.stored(), b"hello world")

    def test_out_of_order(self) -> None:
        """A chunk that skips ahead or comes again is refused, the first one too, and says where it should be."""
        session = self.start()
        self.refusal(self.registry.uploads.append(session, body(b"xx"), ByteRange(3, 5)), OffsetMismatch)
        self.append(session, b"hello ")

        for start in (0, 5, 7):
            place = ByteRange(start, start + 2)
            error = self.refusal(self.registry.uploads.append(session, body(b"xx"), place), OffsetMismatch)
            self.assertEqual((error.location, error.offset), (session.location, 6))
            self.refusal(self.registry.uploads.commit(session, HELLO, body(b"xx"), place), OffsetMismatch)

        self.commit(session, data=b"world")
        self.assertEqual(self.stored(), b"hello world")

    def test_length_that_does_not_fit(self) -> None:
        """A Content-Length that is not the range's is refused before a byte is read."""
        session = self.start(b"hello ")

        self.refusal(self.registry.uploads.append(session, body(b"worl"), ByteRange(6, 11)), InvalidSize)

        self.assertEqual(session.offset, 6)

    def test_body_shorter_or_longer_than_its_range(self) -> None:
        """A chunked body that turns out too short or too long is dropped whole, however much was written of it."""
        session = self.start(b"hello ")
        for data in (b"", b"worl", b"world!", b"x" * 200_000):
            self.refusal(self.registry.uploads.append(session, body(data, chunked=True), ByteRange(6, 11)), InvalidSize)
            self.assertEqual(session.offset, 6)
            self.assertEqual(os.path.getsize(session.file.path), 6)

        self.append(session, b"world", ByteRange(6, 11))
        self.commit(session)
        self.assertEqual(self.stored(), b"hello world")

    def test_long_body_in_many_pieces(self) -> None:
        """So it is with one that exceeds its range only after pieces that were written."""
        session = self.start(b"hello ")
        client = Client(None, buffer=4)
        sending = self.registry.uploads.append(session, client.body, ByteRange(6, 11))
        client.send(b"worldly matters").end()

        self.refusal(sending, InvalidSize)

        self.assertEqual(session.offset, 6)
        self.commit(session, data=b"world")
        self.assertEqual(self.stored(), b"hello world")


class LimitTests(UploadCase):
    """What is too much."""

    def setUp(self) -> None:
        """A registry that takes eleven bytes."""
        self.registry = Registry(self.mktemp(), max_size=11)

    def test_within(self) -> None:
        """A blob of the greatest size is taken, in one piece or several."""
        self.commit(self.start(), data=b"hello world")
        self.commit(self.start(b"hello "), data=b"world")
        self.commit(self.start(b"hello world"))

    def test_beyond(self) -> None:
        """One byte more is refused, wherever it comes: announced or not, in a later chunk or with a range."""
        uploads = self.registry.uploads
        self.refusal(uploads.append(self.start(), body(b"hello world!"), None), TooLarge)
        self.refusal(uploads.append(self.start(), body(b"hello world!", chunked=True), None), TooLarge)
        self.refusal(uploads.append(self.start(b"hello "), body(b"world!"), None), TooLarge)
        self.refusal(uploads.append(self.start(b"hello world"), body(b"!"), None), TooLarge)
        self.refusal(uploads.append(self.start(b"hello "), body(b"world!"), ByteRange(6, 12)), TooLarge)
        self.refusal(uploads.commit(self.start(b"hello "), HELLO, body(b"world!"), None), TooLarge)
        self.refusal(uploads.commit(self.start(b"hello "), HELLO, body(b"world!"), ByteRange(6, 12)), TooLarge)

    def test_limit_lowered(self) -> None:
        """A session that has more than a new limit allows takes nothing more."""
        before = self.start(b"hello world")
        self.registry = Registry(self.registry.place.tree.root, max_size=5, run=1)

        session = self.do(self.registry.uploads.find(APP, before.id))

        self.refusal(self.registry.uploads.append(session, body(b"!"), None), TooLarge)

    def test_no_limit(self) -> None:
        """Zero means no limit."""
        self.registry = Registry(self.mktemp(), max_size=0)
        self.append(self.start(), b"x" * 100_000)


class FlushTests(UploadCase):
    """The disk keeps pace with the network."""

    def setUp(self) -> None:
        """A disk that can fail."""
        self.fs = FaultyFileSystem()
        self.registry = Registry(self.mktemp(), self.fs)

    def flushed(self) -> int:
        """How often a file was sent to the disk."""
        return self.fs.counts["fdatasync"]

    def due(self, session: UploadSession) -> UploadSession:
        """As if so much had arrived that the next bytes are to be flushed."""
        session.flushed -= FLUSH_BYTES
        return session

    def test_flush(self) -> None:
        """After a good many bytes the file is flushed while more arrive; a small upload waits for its end."""
        session = self.start(b"hello ")
        self.append(session, b"wor")
        self.assertEqual(self.flushed(), 0)

        self.append(self.due(session), b"ld")

        self.assertEqual(self.flushed(), 1)
        self.assertEqual(session.flushed, 11)
        self.commit(session)

    def test_failed_flush(self) -> None:
        """A failed flush fails the request and ends the session: what the disk has lost cannot be told."""
        session = self.due(self.start(b"hello "))
        self.fs.fail_calls("fdatasync")

        self.refusal(self.registry.uploads.append(session, body(b"world"), None), FailedStorage)

        self.fs.heal()
        self.assertEqual(self.names(), [])
        self.refusal(self.registry.uploads.find(APP, session.id), UnknownUpload)

    def test_failed_fsync(self) -> None:
        """So does a failed fsync at the end: the second would succeed, and mean nothing."""
        session = self.start(b"hello world")
        self.fs.fail_calls("fsync")

        self.refusal(self.registry.uploads.commit(session, HELLO, body(), None), FailedStorage)

        self.fs.heal()
        self.refusal(self.registry.uploads.find(APP, session.id), UnknownUpload)
        self.refusal(self.registry.uploads.commit(session, HELLO, body(), None), UnknownUpload)
        self.assertEqual(self.names(), [])

    def test_lost_session_that_cannot_be_removed(self) -> None:
        """If its file cannot even be removed, the session stays refused and is not taken for a good one."""
        session = self.start(b"hello world")
        self.fs.fail_calls("fsync", "unlink")
        self.refusal(self.registry.uploads.commit(session, HELLO, body(), None), FailedStorage)
        self.fs.heal()

        again = self.do(self.registry.uploads.find(APP, session.id))
        self.refusal(self.registry.uploads.commit(again, HELLO, body(), None), FailedStorage)

        self.assertEqual(self.names(), [])

    def test_space_runs_out(self) -> None:
        """The free space is looked at again before much more is written."""
        self.registry = Registry(self.mktemp(), self.fs, min_free=100)
        self.fs.room = 1000
        session = self.due(self.start())
        client = Client()
        writing = self.begin(self.registry.uploads.append(session, client.body, None))
        self.fs.room = 99
        self.registry.clock.advance(1)

        client.send(b"hello")

        self.failureResultOf(writing, NoSpace)
        self.assertEqual(session.offset, 5)

    def test_failed_close(self) -> None:
        """A session whose file could not be closed is not left busy for ever."""
        session = self.start()
        self.fs.fail_calls("close")
        self.refusal(self.registry.uploads.append(session, body(b"hello"), None), FailedStorage)
        self.fs.heal()

        self.assertIs(session.busy, False)
        self.assertEqual(self.fs.open_files, set())
