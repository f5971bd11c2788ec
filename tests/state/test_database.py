"""The file: what of an earlier process is believed, and that its loss costs nothing but time."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing

from pkgd.errors import FailedStorage, NoRoomToStart
from pkgd.state import Contents
from pkgd.state.database import Database, rows
from pkgd.state.room import Room
from tests.state.fixtures import StateCase, refused, refusing

NOTHING = Contents([], [], [])


class CrampedDatabase(Database):
    """One that cannot be opened before there is room."""

    def __init__(self, path: str, make_room: Callable[[], object] = lambda: None) -> None:
        super().__init__(None, path, make_room)
        self.room: list[int] = []
        self.room_without_file = False
        self.code = sqlite3.SQLITE_FULL

    def _prepare(self) -> None:
        if not self.room and (os.path.exists(self._path) or not self.room_without_file):
            raise refused(self.code)
        super()._prepare()


class OpenTests(StateCase):
    """What of an earlier process is believed."""

    def setUp(self) -> None:
        """A repository that is known, in a mirror whose ledger is complete."""
        super().setUp()
        self.get(self.index.fill("a", "a", Contents(["digest"], [("v1", "one")], [])))
        self.get(self.ledger.complete())

    def assert_distrusted(self) -> None:
        """Nothing counts as known."""
        self.assertIs(self.database.was_clean, False)
        self.assertIs(self.get(self.index.knows("a")), False)
        self.assertIs(self.get(self.ledger.is_complete()), False)

    def test_after_clean_stop(self) -> None:
        """After a stop in good order everything is known as before."""
        self.database.close()

        self.reopen()

        self.assertIs(self.database.was_clean, True)
        self.assertIs(self.get(self.index.knows("a")), True)
        self.assertEqual(self.get(self.index.tags_of("a", "one")), ["v1"])
        self.assertIs(self.get(self.ledger.is_complete()), True)

    def test_after_unclean_stop(self) -> None:
        """After a kill or a power cut no repository is known, and the ledger is incomplete."""
        self.reopen()

        self.assert_distrusted()
        self.get(self.index.fill("a", "a", NOTHING))
        self.assertEqual(self.get(self.index.holders("digest")), [])

    def test_full_disk(self) -> None:
        """Where there is no space to open the file, some is made; next, the file itself goes; and then that is said."""
        self.database.close()
        path = self.database._path
        made: list[int] = []
        database = CrampedDatabase(path, lambda: made.append(1))
        database.room = made
        database.open()
        self.assertEqual(made, [1])
        self.assertIs(database.was_clean, True)

        anew = CrampedDatabase(path)
        anew.room_without_file = True
        anew.open()
        self.assertIs(anew.was_clean, False)
        said = self.assertRaises(NoRoomToStart, CrampedDatabase(path).open).message
        self.assertIn(f"{path}: there is no space left", said)

    def test_quota(self) -> None:
        """Where a quota is used up it is the same, though SQLite says that a write has failed: the file is kept."""
        self.database.close()
        made: list[int] = []
        database = CrampedDatabase(self.database._path)
        database.code, database.room = sqlite3.SQLITE_IOERR_WRITE, made
        database._room = Room(self.database._path, lambda: made.append(1), refusing(errno.EDQUOT))
        database.open()
        self.assertEqual((made, database.was_clean), ([1], True))

    def test_alone(self) -> None:
        """SQLite keeps its index of the log in memory: as a file, it would kill the process on a full disk."""
        self.database.close()
        self.reopen()
        self.get(self.index.fill("b", "b", NOTHING))
        names = sorted(os.listdir(os.path.dirname(self.path)))
        self.assertEqual(names, ["index.sqlite", "index.sqlite-wal"])
        with closing(sqlite3.connect(self.path, timeout=0)) as other:
            self.assertRaises(sqlite3.OperationalError, other.execute, "SELECT * FROM mark")

    def test_clean_once(self) -> None:
        """A clean stop counts for the next start only."""
        self.database.close()
        self.reopen()

        self.reopen()

        self.assert_distrusted()

    def test_no_file(self) -> None:
        """A deleted file is made anew, and nothing is known."""
        self.database.close()
        os.unlink(self.path)

        self.reopen()

        self.assert_distrusted()

    def test_damaged_file(self) -> None:
        """A damaged file is begun anew: what it held can be derived."""
        self.database.close()
        for damage in (b"no database at all" * 1000, b"SQLite format 3\0" + b"\xff" * 5000):
            with open(self.path, "wb") as file:
                file.write(damage)

            self.reopen()

            self.assert_distrusted()
            self.get(self.index.add_blob("a", "other"))
            self.assertEqual(self.get(self.index.holders("other")), ["a"])
            self.database.close()

    def test_other_version(self) -> None:
        """The file of another version is not guessed at."""
        self.database.close()
        self.sql("UPDATE mark SET value = 1 WHERE name = 'version'")

        self.reopen()
        self.assert_distrusted()
        self.assertEqual(self.get(self.index.holders("digest")), [])
        self.get(self.index.fill("a", "a", NOTHING))
        self.database.close()

        self.reopen()
        self.assertIs(self.get(self.index.knows("a")), True)

    def test_foreign_tables(self) -> None:
        """A file whose tables are not ours is begun anew too."""
        self.database.close()
        self.sql("DROP TABLE mark")
        self.sql("CREATE TABLE mark (something TEXT)")

        self.reopen()

        self.assert_distrusted()


class RunTests(StateCase):
    """Transactions."""

    def test_order(self) -> None:
        """Each transaction sees what those before it have done."""
        writing = self.database.run(lambda t: t.execute("INSERT INTO surveyed VALUES (7)"))
        reading = self.database.run(lambda t: rows(t, "SELECT complete FROM surveyed WHERE complete > ?", 1))

        self.get(writing)
        self.assertEqual(self.get(reading), [(7,)])

    def test_failure(self) -> None:
        """What the database cannot do is a fault of the storage, and no bug; nothing of it stays."""

        def fail(t: object) -> None:
            rows(t, "INSERT INTO surveyed VALUES (7)")
            rows(t, "SELECT nonsense")

        failure = self.failureResultOf(self.database.run(fail), FailedStorage)

        self.assertEqual(failure.value.operation, "index: no such column: nonsense")
        self.assertIs(self.get(self.ledger.is_complete()), False)
