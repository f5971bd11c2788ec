"""Upload sessions: what arrives, how they end, and what survives a broken connection or a restart."""

from __future__ import annotations

import errno
import os

from pkgd.errors import (
    ClientGone,
    DigestMismatch,
    NoSpace,
    SessionBusy,
    UnknownBlob,
    UnknownUpload,
)
from pkgd.formats.byterange import ByteRange
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, UploadId
from pkgd.registry.upload import UploadSession
from pkgd.storage.layout import blob_key
from tests.registry.fixtures import APP, OTHER, Client, Registry, RegistryCase, body
from tests.storage.fixtures import QuietFileSystem

HELLO = Digest.of(b"hello world")


class UploadCase(RegistryCase):
    """With words for a session's life."""

    def start(self, data: bytes = b"", name: RepositoryName = APP) -> UploadSession:
        """A session that has these bytes."""
        session = self.do(self.registry.uploads.start(name))
        if data:
            self.append(session, data)
        return session

    def append(self, session: UploadSession, data: bytes, at: ByteRange | None = None) -> None:
        """Send a chunk."""
        self.do(self.registry.uploads.append(session, body(data), at))

    def commit(self, session: UploadSession, digest: Digest = HELLO, data: bytes = b"") -> None:
        """End the session with its last bytes."""
        self.do(self.registry.uploads.commit(session, digest, body(data), None))

    def stored(self, digest: Digest = HELLO, name: RepositoryName = APP) -> bytes:
        """The bytes of the blob that came of it."""
        return self.read(blob_key(name, digest))

    def names(self) -> list[str]:
        """The sessions that have files."""
        return [name for name, _ in self.registry.place.spool.uploads()]


class SessionTests(UploadCase):
    """The ordinary course of things."""

    def test_chunks(self) -> None:
        """Bytes that arrive in pieces become one blob, and nothing is left of the session."""
        session = self.start()
        self.assertEqual(session.offset, 0)
        self.append(session, b"hello ")
        self.assertEqual(session.offset, 6)
        self.append(session, b"world")

        self.commit(session)

        self.assertEqual(self.stored(), b"hello world")
        self.assertEqual(self.names(), [])

    def test_all_at_once(self) -> None:
        """The whole blob may come with the end of the session."""
        self.commit(self.start(), data=b"hello world")
        self.assertEqual(self.stored(), b"hello world")

    def test_last_bytes_at_the_end(self) -> None:
        """Or its last bytes."""
        self.commit(self.start(b"hello "), data=b"world")
        self.assertEqual(self.stored(), b"hello world")

    def test_empty_blob(self) -> None:
        """A blob of no bytes is one."""
        self.commit(self.start(), Digest.of(b""))
        self.assertEqual(self.stored(Digest.of(b"")), b"")

    def test_chunked_body(self) -> None:
        """A body of unknown length is taken as it comes, though it is larger than the buffers."""
        data = os.urandom(1000) * 1000
        session = self.start()

        self.do(self.registry.uploads.append(session, body(data, chunked=True), None))

        self.assertEqual(session.offset, 1_000_000)
        self.commit(session, Digest.of(data))
        self.assertEqual(self.stored(Digest.of(data)), data)

    def test_location(self) -> None:
        """A session's URL is a path that names its repository and itself."""
        session = self.start()
        self.assertEqual(session.location, f"/v2/team/app/blobs/uploads/{session.id}")

    def test_ids(self) -> None:
        """Nobody guesses another's session: its name is of 128 random bits."""
        first, second = self.start(), self.start()
        self.assertNotEqual(first.id, second.id)
        self.assertEqual(len(first.id), 32)

    def test_find(self) -> None:
        """A session is found by its name."""
        session = self.start()
        self.assertIs(self.do(self.registry.uploads.find(APP, session.id)), session)

    def test_find_unknown(self) -> None:
        """A name that no session has is unknown."""
        self.refusal(self.registry.uploads.find(APP, UploadId("0" * 32)), UnknownUpload)

    def test_find_in_another_repository(self) -> None:
        """A session belongs to its repository; under another's name it is unknown, and unharmed."""
        session = self.start(b"hello ")

        for registry in (self.registry, self.registry.restarted()):
            self.refusal(registry.uploads.find(OTHER, session.id), UnknownUpload)

        self.commit(session, data=b"world")
        self.assertEqual(self.stored(), b"hello world")

    def test_other_user(self) -> None:
        """A session of one user does not exist for others, nor for nobody, also after a restart."""
        session = self.do(self.registry.uploads.start(APP, owner="alice"))

        for registry in (self.registry, self.registry.restarted()):
            for user in ("bob", None, ""):
                self.refusal(registry.uploads.find(APP, session.id, user), UnknownUpload)
            self.assertEqual(self.do(registry.uploads.find(APP, session.id, "alice")).owner, "alice")

    def test_finished_by_another(self) -> None:
        """What has become of it, only its user is told."""
        session = self.do(self.registry.uploads.start(APP, owner="alice"))
        self.commit(session, data=b"hello world")

        found = [self.registry.uploads.finished_as(APP, session.id, user) for user in ("alice", "bob", None)]
        self.assertEqual(found, [HELLO, None, None])

    def test_nobodys(self) -> None:
        """Who goes on with nobody's session need not be nobody: a user may log in on the way."""
        session = self.do(self.registry.uploads.start(APP))

        self.assertIs(self.do(self.registry.uploads.find(APP, session.id, "alice")), session)

    def test_cancel(self) -> None:
        """A cancelled session is gone, and its bytes with it."""
        session = self.start(b"hello")

        self.do(self.registry.uploads.cancel(session))

        self.assertEqual(self.names(), [])
        self.refusal(self.registry.uploads.find(APP, session.id), UnknownUpload)

    def test_after_its_end(self) -> None:
        """A session that has ended takes no bytes, not even from a request that knew it before."""
        ended = [self.start(b"hello world"), self.start(b"hello")]
        self.commit(ended[0])
        self.do(self.registry.uploads.cancel(ended[1]))

        for session in ended:
            self.refusal(self.registry.uploads.append(session, body(b"more"), None), UnknownUpload)
            self.refusal(self.registry.uploads.commit(session, HELLO, body(), None), UnknownUpload)
            self.refusal(self.registry.uploads.cancel(session), UnknownUpload)
        self.assertEqual(self.stored(), b"hello world")


class DigestTests(UploadCase):
    """Nothing is stored under a digest that it hasn't."""

    def test_mismatch(self) -> None:
        """Bytes with another digest are refused, the client is told which, and the session is gone."""
        session = self.start(b"hello")

        error = self.refusal(self.registry.uploads.commit(session, HELLO, body(), None), DigestMismatch)

        self.assertEqual((error.expected, error.actual), (str(HELLO), str(Digest.of(b"hello"))))
        self.assertEqual(self.names(), [])
        self.refusal(self.registry.uploads.find(APP, session.id), UnknownUpload)
        self.refusal(self.registry.blobs.size(APP, HELLO), UnknownBlob)

    def test_sha512_announced(self) -> None:
        """A client that says which algorithm it will use is taken at its word."""
        digest = Digest.of(b"hello world", "sha512")
        session = self.do(self.registry.uploads.start(APP, "sha512"))
        self.append(session, b"hello world")

        self.commit(session, digest)

        self.assertEqual(self.stored(digest), b"hello world")

    def test_sha512_unannounced(self) -> None:
        """A client that names another algorithm only at the end gets it too."""
        digest = Digest.of(b"hello world", "sha512")

        self.commit(self.start(b"hello world"), digest)

        self.assertEqual(self.stored(digest), b"hello world")

    def test_sha512_mismatch(self) -> None:
        """An unannounced digest is checked like any other."""
        wrong = Digest.of(b"other", "sha512")
        self.refusal(self.registry.uploads.commit(self.start(b"hello"), wrong, body(), None), DigestMismatch)


class BrokenConnectionTests(UploadCase):
    """What arrived is kept, and counted."""

    def test_append(self) -> None:
        """A chunk whose client left counts as far as it came, and the upload goes on from there."""
        session = self.start(b"hel")
        client = Client(1000).send(b"lo ").fail(ClientGone())

        self.refusal(self.registry.uploads.append(session, client.body, None), ClientGone)

        self.assertEqual(session.offset, 6)
        self.commit(session, data=b"world")
        self.assertEqual(self.stored(), b"hello world")

    def test_append_with_a_range(self) -> None:
        """With a range as well: the client learns the offset by asking, and continues there."""
        session = self.start(b"hel")
        client = Client(8).send(b"lo ").fail(ClientGone())

        self.refusal(self.registry.uploads.append(session, client.body, ByteRange(3, 11)), ClientGone)

        self.assertEqual(session.offset, 6)
        self.append(session, b"world", ByteRange(6, 11))
        self.commit(session)

    def test_commit(self) -> None:
        """A final PUT whose client left has not ended the session."""
        session = self.start(b"hello ")
        client = Client(5).send(b"wor").fail(ClientGone())

        self.refusal(self.registry.uploads.commit(session, HELLO, client.body, None), ClientGone)

        self.assertEqual(session.offset, 9)
        self.refusal(self.registry.blobs.size(APP, HELLO), UnknownBlob)
        self.commit(session, data=b"ld")
        self.assertEqual(self.stored(), b"hello world")

    def test_lost_answer(self) -> None:
        """A client that missed the answer to its last PUT may send it again: what became of the session is known."""
        session = self.start(b"hello world")
        self.commit(session)

        self.assertEqual(self.registry.uploads.finished_as(APP, session.id), HELLO)
        self.assertIsNone(self.registry.uploads.finished_as(OTHER, session.id))
        self.assertIsNone(self.registry.uploads.finished_as(APP, UploadId("0" * 32)))

    def test_unfinished(self) -> None:
        """A session that is open, was cancelled or had the wrong digest has become nothing."""
        going, cancelled, wrong = self.start(b"a"), self.start(b"b"), self.start(b"c")
        self.do(self.registry.uploads.cancel(cancelled))
        self.refusal(self.registry.uploads.commit(wrong, HELLO, body(), None), DigestMismatch)

        for session in (going, cancelled, wrong):
            self.assertIsNone(self.registry.uploads.finished_as(APP, session.id))


class RestartTests(UploadCase):
    """Sessions survive the process."""

    def test_resume(self) -> None:
        """The next process knows a session, its repository and its offset, and ends it with the right digest."""
        before = self.start(b"hello ")
        self.registry = self.registry.restarted()

        session = self.do(self.registry.uploads.find(APP, before.id))

        self.assertEqual(session.offset, 6)
        self.append(session, b"world", ByteRange(6, 11))
        self.commit(session)
        self.assertEqual(self.stored(), b"hello world")

    def test_resume_before_the_first_byte(self) -> None:
        """So it is with a session that has no bytes yet."""
        before = self.start()
        self.registry = self.registry.restarted()

        self.commit(self.do(self.registry.uploads.find(APP, before.id)), data=b"hello world")

        self.assertEqual(self.stored(), b"hello world")

    def test_resume_another_algorithm(self) -> None:
        """The announced algorithm is remembered too, and is as little binding as before."""
        digest = Digest.of(b"hello world", "sha512")
        before = self.do(self.registry.uploads.start(APP, "sha512"))
        self.append(before, b"hello ")
        self.registry = self.registry.restarted()

        session = self.do(self.registry.uploads.find(APP, before.id))

        self.assertEqual(session.file.algorithm, "sha512")
        self.commit(session, digest, b"world")

    def test_bytes_written_in_the_last_moment(self) -> None:
        """What a killed process wrote without answering counts: the file is the truth."""
        before = self.start(b"hello ")
        with open(before.file.path, "ab") as file:
            file.write(b"wor")
        self.registry = self.registry.restarted()

        session = self.do(self.registry.uploads.find(APP, before.id))

        self.assertEqual(session.offset, 9)
        self.commit(session, data=b"ld")

    def test_torn_record(self) -> None:
        """A session whose record a power cut has torn is unknown."""
        for torn in (b"", b"{", b"[]", b'{"repository": "\xff", "algorithm": "sha256"}', b'{"repository": "team/app"}'):
            session = self.start(b"hello")
            with open(f"{session.file.path}.json", "wb") as file:
                file.write(torn)
            self.refusal(self.registry.restarted().uploads.find(APP, session.id), UnknownUpload)

    def test_two_who_resume_at_once(self) -> None:
        """Two requests that come after a restart get one session, so that only one of them can write."""
        before = self.start(b"hello ")
        self.registry = self.registry.restarted()

        first = self.do(self.registry.uploads.find(APP, before.id))

        self.assertIs(self.do(self.registry.uploads.find(APP, before.id)), first)


class EvictionTests(UploadCase):
    """More sessions than are kept in memory."""

    def setUp(self) -> None:
        """A registry that keeps two."""
        self.registry = Registry(self.mktemp(), max_open=2)

    def test_many_sessions(self) -> None:
        """A session that had to leave the memory goes on as after a restart, with the right digest."""
        pieces = {self.start(b"%d " % n).id: b"%d " % n for n in range(6)}

        for upload_id, piece in pieces.items():
            session = self.do(self.registry.uploads.find(APP, upload_id))
            self.assertEqual(session.offset, 2)
            self.commit(session, Digest.of(piece + b"end"), b"end")
            self.assertEqual(self.stored(Digest.of(piece + b"end")), piece + b"end")

    def test_all_busy(self) -> None:
        """A session is usable when all others are being written to, however many those are."""
        clients = [Client() for _ in range(3)]
        for client in clients:
            self.assertNoResult(self.begin(self.registry.uploads.append(self.start(), client.body, None)))

        self.commit(self.start(), data=b"hello world")

        self.assertEqual(self.stored(), b"hello world")
        for client in clients:
            client.end()

    def test_busy_one_stays(self) -> None:
        """A session that is being written to is never forgotten: a second writer would not be seen."""
        session = self.start()
        client = Client()
        writing = self.begin(self.registry.uploads.append(session, client.body, None))
        for _ in range(4):
            self.start()

        again = self.do(self.registry.uploads.find(APP, session.id))

        self.refusal(self.registry.uploads.append(again, body(b"x"), None), SessionBusy)
        client.send(b"hello").end()
        self.successResultOf(writing)


class SpaceTests(UploadCase):
    """The floor of free space."""

    def setUp(self) -> None:
        """A registry that wants more room than there is."""
        self.registry = Registry(self.mktemp(), min_free=1 << 60)

    def test_start(self) -> None:
        """Nothing is begun below the floor, and nothing is left of the attempt."""
        self.refusal(self.registry.uploads.start(APP), NoSpace)
        self.assertEqual(self.names(), [])

    def test_append_and_cancel(self) -> None:
        """A session that was begun before takes nothing more; it can be asked for, and cancelled."""
        root = self.registry.place.tree.root
        before = self.do(Registry(root, run=1).uploads.start(APP))
        session = self.do(self.registry.uploads.find(APP, before.id))

        self.refusal(self.registry.uploads.append(session, body(b"hello"), None), NoSpace)
        self.refusal(self.registry.uploads.commit(session, HELLO, body(b"hello world"), None), NoSpace)
        self.assertEqual(session.offset, 0)

        self.do(self.registry.uploads.cancel(session))
        self.assertEqual(self.names(), [])


class ExpiryTests(UploadCase):
    """Sessions that nobody comes back to."""

    def age(self, name: str, written: float) -> None:
        """Date a session's files."""
        for path in (f"__spool__/uploads/{name}", f"__spool__/uploads/{name}.json"):
            if os.path.exists(self.path(path)):
                os.utime(self.path(path), (written, written))

    def expire(self, older_than: float, now: float) -> int:
        """Let time pass."""
        return self.do(self.registry.uploads.expire(older_than, now))

    def test_expired(self) -> None:
        """A session that nobody has written to for too long is removed; one that is as old as allowed is not."""
        old, young = self.start(b"old"), self.start(b"young")
        self.age(old.id, 1000)
        self.age(young.id, 1001)

        self.assertEqual(self.expire(100, 1101), 1)

        self.assertEqual(self.names(), [young.id])
        self.refusal(self.registry.uploads.find(APP, old.id), UnknownUpload)
        self.commit(young, Digest.of(b"young"))

    def test_of_an_earlier_process(self) -> None:
        """Sessions that this process has never seen expire too."""
        self.age(self.start(b"old").id, 1000)
        self.registry = self.registry.restarted()

        self.assertEqual(self.expire(100, 2000), 1)
        self.assertEqual(self.names(), [])

    def test_halves(self) -> None:
        """What a crash left of a session, a file or a record, is removed in the end."""
        file, record = self.start(b"a"), self.start(b"b")
        os.unlink(f"{file.file.path}.json")
        os.unlink(record.file.path)
        self.age(file.id, 1000)
        self.registry = self.registry.restarted()

        self.assertEqual(self.expire(100, 2000), 2)
        self.assertEqual(os.listdir(self.path("__spool__/uploads")), [])

    def test_being_written(self) -> None:
        """A session with a request under way does not expire, however slow its client is."""
        session = self.start(b"hello ")
        client = Client(5)
        writing = self.begin(self.registry.uploads.commit(session, HELLO, client.body, None))
        self.age(session.id, 1000)

        self.assertEqual(self.expire(100, 2000), 0)

        client.send(b"world").end()
        self.successResultOf(writing)
        self.assertEqual(self.stored(), b"hello world")

    def test_clock_set_back(self) -> None:
        """A clock that was wrong expires nothing that is dated in its future."""
        self.start(b"hello")
        self.assertEqual(self.expire(100, 0), 0)

    def test_one_that_cannot_be_removed(self) -> None:
        """A session that cannot be removed does not keep the others alive, and goes the next time."""
        fs = _Stuck()
        self.registry = Registry(self.mktemp(), fs)
        names = sorted(self.start(data).id for data in (b"one", b"two", b"three"))
        for name in names:
            self.age(name, 1000)

        fs.stuck = names[0]
        self.assertEqual(self.expire(100, 2000), 2)
        self.assertEqual(self.names(), [names[0]])

        fs.stuck = ""
        self.assertEqual(self.expire(100, 2000), 1)
        self.assertEqual(self.names(), [])


class _Stuck(QuietFileSystem):
    """A disk that cannot remove one file."""

    stuck = ""

    def unlink(self, path: str) -> None:
        """Fail for that one."""
        if self.stuck and self.stuck in path:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        super().unlink(path)
