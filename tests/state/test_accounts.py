"""The file pkgd.sqlite: durable, private, and never begun anew."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import stat
from contextlib import closing
from functools import partial
from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError, FailedStorage, NoRoomToStart, NoSpace, ReadOnlyStorage
from pkgd.state.accountrows import (
    AllowRow,
    DisabledRow,
    KeyRow,
    RefreshRow,
    SessionRow,
    add_key,
    add_refresh,
    add_session,
    all_keys,
    delete_expired,
    delete_key,
    delete_refresh,
    delete_session,
    disable_user,
    disabled_users,
    enable_user,
    find_refresh,
    find_session,
    forget_user,
    note_uses,
    set_standing,
)
from pkgd.state.accounts import APPLICATION, MIGRATIONS, Accounts, AccountsFile
from pkgd.state.room import Room
from tests.accounts import HeldThreads, open_accounts
from tests.state.fixtures import refused, refusing

KEY = KeyRow(
    id="abcdefgh",
    digest=b"d" * 32,
    owner="alice",
    via="htpasswd",
    groups=("dev", "ops"),
    label="laptop",
    allow=(AllowRow(("oci:team/**",), ("pull", "push")),),
    networks=("10.0.0.0/8",),
    parent=None,
    created=100.0,
    expires=200.0,
)
REFRESH = RefreshRow(b"r" * 32, "alice", ("dev",), "oidc", "", "pkg.example.com", "pkgd", 100.0, 200.0)
SESSION = SessionRow(b"s" * 32, "alice", ("dev",), 100.0, 200.0)


class AccountsCase(SynchronousTestCase):
    """A directory for the file."""

    def setUp(self) -> None:
        """It is empty."""
        self.directory = os.path.abspath(self.mktemp())
        os.makedirs(self.directory)
        self.path = os.path.join(self.directory, "pkgd.sqlite")

    def open(self, **options: Any) -> Accounts:
        """Open the file as a daemon does."""
        return open_accounts(self, self.path, **options)

    def do(self, accounts: Accounts, interaction: Any, *args: Any, **more: Any) -> Any:
        """What a transaction returns."""
        return self.successResultOf(accounts.run(partial(interaction, *args, **more)))

    def write(self, data: bytes, suffix: str = "") -> None:
        """Put anything where the file is."""
        with open(self.path + suffix, "wb") as file:
            file.write(data)

    def read(self) -> bytes:
        """All of the file."""
        with open(self.path, "rb") as file:
            return file.read()


class StartTests(AccountsCase):
    """What becomes of the file that is found."""

    def refused(self) -> str:
        """Why the start stops."""
        return self.assertRaises(ConfigError, AccountsFile(self.path).prepare).message

    def test_new(self) -> None:
        """A new one is only for its owner, with the helpers that SQLite makes beside it."""
        accounts = self.open()
        self.do(accounts, add_key, row=KEY)

        found = {
            name: stat.S_IMODE(os.stat(os.path.join(self.directory, name)).st_mode)
            for name in os.listdir(self.directory)
        }
        self.assertEqual(found, dict.fromkeys(("pkgd.sqlite", "pkgd.sqlite-wal", "pkgd.sqlite-shm"), 384))

    def test_loose(self) -> None:
        """One that others may read, as after a restore, is so no more."""
        self.open()
        os.chmod(self.path, 0o644)
        AccountsFile(self.path).prepare()

        self.assertEqual(stat.S_IMODE(os.stat(self.path).st_mode), 0o600)

    def test_kept(self) -> None:
        """The next process finds what the last one has kept."""
        self.do(self.open(), add_key, row=KEY)

        self.assertEqual(self.do(self.open(), all_keys), [KEY])

    def test_damaged(self) -> None:
        """What is no database stops the start, says where it is, and stays as it is."""
        self.write(b"this was once a database" * 100)

        reason = self.refused()
        self.assertIn(self.path, reason)
        self.assertIn("backup", reason)
        self.assertEqual(self.read(), b"this was once a database" * 100)

    def test_torn(self) -> None:
        """So does one with a page that is not what it was."""
        accounts = self.open()
        for number in range(200):
            self.do(accounts, add_key, row=evolve(KEY, id=f"{number:08}"))
        accounts.close()
        data = bytearray(self.read())
        data[8192:12288] = b"\xff" * 4096
        self.write(bytes(data))

        self.refused()
        self.assertEqual(self.read(), bytes(data))

    def test_newer(self) -> None:
        """A file of a newer pkgd is not touched."""
        self.open().close()
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")

        self.assertIn("newer", self.refused())

    def test_older(self) -> None:
        """A file from before users could be disabled keeps what it has, and its version: its pkgd can have it again."""
        with closing(sqlite3.connect(self.path)) as connection:
            for statement in MIGRATIONS[0]:
                connection.execute(statement)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute("PRAGMA user_version = 1")
            add_key(connection.cursor(), KEY)
            connection.commit()
        accounts = self.open()

        self.assertTrue(self.do(accounts, disable_user, row=DisabledRow("bob", 1.0)))
        self.assertEqual(self.do(accounts, all_keys), [KEY])
        self.assertEqual(self.do(accounts, lambda t: t.execute("PRAGMA user_version").fetchone()[0]), 1)

    def test_foreign(self) -> None:
        """Nor is another program's."""
        with closing(sqlite3.connect(self.path)) as connection:
            connection.execute("CREATE TABLE theirs (x)")

        self.assertIn("not one of pkgd's", self.refused())

    def test_gone(self) -> None:
        """A file that is gone while its log is there is not begun anew."""
        self.write(b"", "-wal")

        self.assertIn("gone", self.refused())
        self.assertFalse(os.path.exists(self.path))

    def test_interrupted(self) -> None:
        """A start that ended before the schema was there goes on from the empty file."""
        self.write(b"")

        self.assertEqual(self.do(self.open(), all_keys), [])

    def test_marked(self) -> None:
        """The file says what it is, and of which version."""
        self.open().close()
        with closing(sqlite3.connect(self.path)) as connection:
            found = [connection.execute(f"PRAGMA {one}").fetchone()[0] for one in ("application_id", "user_version")]

        self.assertEqual(found, [APPLICATION, len(MIGRATIONS)])

    def test_unwritable(self) -> None:
        """A directory that is not there is an error of the configuration."""
        self.path = os.path.join(self.directory, "no", "pkgd.sqlite")

        self.assertIn("No such file", self.refused())


class DurabilityTests(AccountsCase):
    """What has been answered is there after a power cut."""

    def test_synced(self) -> None:
        """Every commit waits for the disk: WAL, with FULL; in the daemon, and in a command."""
        self.open()

        def look(t: Any) -> list[Any]:
            return [t.execute(f"PRAGMA {one}").fetchone()[0] for one in ("journal_mode", "synchronous")]

        self.assertEqual(self.do(self.open(), look), ["wal", 2])
        self.assertEqual(AccountsFile(self.path).run(look), ["wal", 2])

    def test_committed_before_answered(self) -> None:
        """When the answer is there, the bytes are in the files; before, nobody has been told."""
        threads = HeldThreads()
        accounts = self.open(threads=threads)
        answer = accounts.run(partial(add_key, row=KEY))
        self.assertNoResult(answer)
        threads.release()
        self.successResultOf(answer)

        copy = os.path.abspath(self.mktemp())
        shutil.copytree(self.directory, copy)
        self.assertEqual(AccountsFile(os.path.join(copy, "pkgd.sqlite")).run(all_keys), [KEY])

    def test_failed(self) -> None:
        """Of a transaction that fails nothing is kept, and the failure is the storage's."""
        accounts = self.open()

        def write(t: Any) -> None:
            add_key(t, KEY)
            t.execute("SELECT * FROM nothing")

        self.failureResultOf(accounts.run(write), FailedStorage)
        self.assertEqual(self.do(accounts, all_keys), [])

    def test_full(self) -> None:
        """On a full disk what is urgent gets the room that can be made; all else is refused, and nothing of it kept."""
        accounts = self.open()
        transaction: list[Any] = []

        def limit(pages: int) -> None:
            transaction[0].execute(f"PRAGMA max_page_count = {pages}")

        def write(t: Any) -> None:
            transaction[:] = [t]
            add_key(t, evolve(KEY, label="x" * 100_000))

        self.do(accounts, lambda t: t.execute("PRAGMA max_page_count = 1"))
        self.failureResultOf(accounts.run(write, is_urgent=True), NoSpace)
        accounts.file.room.more = lambda: limit(1000)
        self.failureResultOf(accounts.run(write), NoSpace)
        self.assertEqual(self.do(accounts, all_keys), [])
        self.assertIsNone(self.successResultOf(accounts.run(write, is_urgent=True)))
        self.assertEqual(len(self.do(accounts, all_keys)), 1)

    def test_quota(self) -> None:
        """To SQLite a quota that is used up is a failed write; to us it is a full disk, which a broken one is not."""
        accounts, made = self.open(), list[int]()

        def write(t: Any) -> None:
            add_key(t, KEY)
            if not made:
                raise refused(sqlite3.SQLITE_IOERR_WRITE)

        self.failureResultOf(accounts.run(write, is_urgent=True), FailedStorage)
        accounts.file.room = Room(accounts.file.path, lambda: made.append(1), refusing(errno.EDQUOT))
        self.failureResultOf(accounts.run(write), NoSpace)
        self.assertEqual((self.do(accounts, all_keys), made), ([], []))
        self.assertIsNone(self.successResultOf(accounts.run(write, is_urgent=True)))
        self.assertEqual((len(self.do(accounts, all_keys)), made), (1, [1]))

    def test_quota_for_commands(self) -> None:
        """The same."""
        self.open()
        file = AccountsFile(self.path)

        def write(t: Any) -> None:
            raise refused(sqlite3.SQLITE_IOERR_WRITE)

        self.assertRaises(FailedStorage, file.run, write)
        file.room = Room(self.path, allocate=refusing(errno.EDQUOT))
        self.assertRaises(NoSpace, file.run, write)
        self.assertRaises(NoSpace, file.run, write, is_urgent=True)

    def test_full_for_commands(self) -> None:
        """Commands beside the daemon have the same."""
        self.open()
        pages = [1]

        def write(t: Any) -> None:
            t.execute(f"PRAGMA max_page_count = {pages[0]}")
            add_key(t, evolve(KEY, label="x" * 100_000))

        file = AccountsFile(self.path, lambda: pages.append(pages.pop() + 1000))
        self.assertRaises(NoSpace, file.run, write)
        self.assertEqual(pages, [1])
        file.run(write, is_urgent=True)
        self.assertEqual(len(file.run(all_keys)), 1)

    def test_opened_on_a_full_disk(self) -> None:
        """The start has the room that can be made, too; without, it says what is wrong."""
        self.open()
        made: list[int] = []

        class Cramped(AccountsFile):
            def _bring_up(self) -> None:
                if not made:
                    error = sqlite3.OperationalError("disk I/O error")
                    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
                    raise error
                super()._bring_up()

        said = self.assertRaises(NoRoomToStart, Cramped(self.path).prepare).message
        self.assertIn(f"{self.path}: there is no space left", said)
        Cramped(self.path, lambda: made.append(1)).prepare()
        self.assertEqual(made, [1])

    def test_read_only(self) -> None:
        """A file that cannot be written for now is the storage's refusal, and no failure."""
        accounts = self.open()
        self.do(accounts, lambda t: t.execute("PRAGMA query_only = ON"))
        self.failureResultOf(accounts.run(partial(add_key, row=KEY)), ReadOnlyStorage)

    def test_busy(self) -> None:
        """Two processes write one after the other."""
        accounts = self.open()
        AccountsFile(self.path).run(partial(add_key, row=KEY))
        self.do(accounts, add_key, row=evolve(KEY, id="12345678"))

        self.assertEqual([one.id for one in self.do(accounts, all_keys)], ["12345678", "abcdefgh"])

    def test_read_if_changed(self) -> None:
        """Another process's writes are noticed, one's own are not."""
        accounts = self.open()
        found = [self.read_keys(accounts)]
        self.do(accounts, add_key, row=KEY)
        found.append(self.read_keys(accounts))
        AccountsFile(self.path).run(partial(delete_key, identifier=KEY.id))
        found += [self.read_keys(accounts) for _ in range(2)]

        self.assertEqual(found, [[], None, [], None])

    def test_read_later(self) -> None:
        """What could not be read is read the next time."""
        accounts = self.open()
        self.failureResultOf(accounts.read_if_changed(lambda t: t.execute("SELECT * FROM nothing")), FailedStorage)

        self.assertEqual(self.read_keys(accounts), [])

    def read_keys(self, accounts: Accounts) -> Any:
        """All keys, if that is needed."""
        return self.successResultOf(accounts.read_if_changed(all_keys))


class RowTests(AccountsCase):
    """What is kept comes back as it was."""

    def setUp(self) -> None:
        """One of each."""
        super().setUp()
        self.accounts = self.open()
        self.do(self.accounts, add_key, row=KEY)
        self.do(self.accounts, add_refresh, row=REFRESH)
        self.do(self.accounts, add_session, row=SESSION)

    def keys(self) -> list[KeyRow]:
        """All keys."""
        found: list[KeyRow] = self.do(self.accounts, all_keys)
        return found

    def test_key(self) -> None:
        """A key, its use and its standing."""
        self.do(self.accounts, note_uses, uses=[(KEY.id, 150.0), ("gone", 1.0)])
        self.assertEqual(self.keys(), [evolve(KEY, used=150.0)])
        self.do(self.accounts, set_standing, owner="alice", groups=("dev",), suspended=True)
        self.assertEqual(self.keys(), [evolve(KEY, used=150.0, groups=("dev",), suspended=True)])

    def test_unlimited(self) -> None:
        """No allowances at all are not an empty list of them."""
        self.do(self.accounts, add_key, row=evolve(KEY, id="x", allow=None, networks=(), groups=()))

        self.assertEqual([one.allow for one in self.keys()], [KEY.allow, None])

    def test_delete_key(self) -> None:
        """A key goes with those that were made with it."""
        self.do(self.accounts, add_key, row=evolve(KEY, id="x", parent=KEY.id))

        self.assertTrue(self.do(self.accounts, delete_key, identifier=KEY.id))
        self.assertFalse(self.do(self.accounts, delete_key, identifier=KEY.id))
        self.assertEqual(self.keys(), [])

    def test_refresh_token(self) -> None:
        """A refresh token, until it is deleted."""
        self.assertEqual(self.do(self.accounts, find_refresh, digest=REFRESH.digest), REFRESH)
        self.do(self.accounts, delete_refresh, digest=REFRESH.digest)
        self.assertIsNone(self.do(self.accounts, find_refresh, digest=REFRESH.digest))

    def test_session(self) -> None:
        """A session, until it is deleted."""
        self.assertEqual(self.do(self.accounts, find_session, digest=SESSION.digest), SESSION)
        self.do(self.accounts, delete_session, digest=SESSION.digest)
        self.assertIsNone(self.do(self.accounts, find_session, digest=SESSION.digest))

    def test_forget_user(self) -> None:
        """A user's sessions and refresh tokens end; keys have ends of their own."""
        self.do(self.accounts, forget_user, user="alice")

        self.assertIsNone(self.do(self.accounts, find_session, digest=SESSION.digest))
        self.assertIsNone(self.do(self.accounts, find_refresh, digest=REFRESH.digest))
        self.assertEqual(self.keys(), [KEY])

    def test_disabled(self) -> None:
        """Who is disabled stays so, since the first time; his sessions and refresh tokens end, his keys are kept."""
        row = DisabledRow("alice", 150.0)

        self.assertTrue(self.do(self.accounts, disable_user, row=row))
        self.assertFalse(self.do(self.accounts, disable_user, row=DisabledRow("alice", 160.0)))
        self.assertEqual(self.do(self.accounts, disabled_users), [row])
        self.assertIsNone(self.do(self.accounts, find_session, digest=SESSION.digest))
        self.assertIsNone(self.do(self.accounts, find_refresh, digest=REFRESH.digest))
        self.assertEqual(self.keys(), [KEY])

        self.assertTrue(self.do(self.accounts, enable_user, user="alice"))
        self.assertFalse(self.do(self.accounts, enable_user, user="alice"))
        self.assertEqual(self.do(self.accounts, disabled_users), [])

    def test_expired(self) -> None:
        """What is over goes; keys later than the rest."""
        self.do(self.accounts, delete_expired, now=200.0, keys_until=199.0)
        self.assertIsNone(self.do(self.accounts, find_session, digest=SESSION.digest))
        self.assertIsNone(self.do(self.accounts, find_refresh, digest=REFRESH.digest))
        self.assertEqual(self.keys(), [KEY])

        self.do(self.accounts, delete_expired, now=300.0, keys_until=200.0)
        self.assertEqual(self.keys(), [])

    def test_no_secret(self) -> None:
        """What is deleted is not left readable in the file."""
        self.do(self.accounts, delete_session, digest=SESSION.digest)
        self.accounts.close()

        self.assertNotIn(SESSION.digest, self.read())
