"""API keys: who they stand for, and when no longer."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.apikeys import KEPT_EXPIRED, USE_INTERVAL, ApiKeys, KeyOrder, KeyRow
from pkgd.auth.keycaps import parse_allowance
from pkgd.auth.model import Action, Identity, oci
from pkgd.auth.secrettexts import new_key
from pkgd.auth.sources import Verdict
from pkgd.errors import FailedStorage
from pkgd.state.accountrows import add_key, all_keys, delete_key
from tests.accounts import HeldThreads, open_accounts, result

NOON = 1_750_000_000.0
DAY = 86400.0


class KeysCase(SynchronousTestCase):
    """Keys in a file of their own, at noon."""

    def setUp(self) -> None:
        """There are none yet."""
        self.clock = Clock()
        self.clock.advance(NOON)
        self.accounts = open_accounts(self)
        self.path = self.accounts.file.path
        self.users = {"alice"}
        self.keys = self.open()

    def open(self) -> ApiKeys:
        """As a process makes it that begins."""
        self.accounts = open_accounts(self, self.path)
        keys = ApiKeys(self.accounts, self.clock.seconds, self.is_user)
        keys.use(self.successResultOf(self.accounts.run(all_keys)))
        return keys

    def look(self) -> None:
        """Read what others have written."""
        self.keys.use(self.successResultOf(self.accounts.run(all_keys)))

    def is_user(self, row: KeyRow) -> bool:
        """Whether somebody is still there."""
        return row.owner in self.users

    def get(self, work: Any) -> Any:
        """What a coroutine returns."""
        return result(self, work)

    def order(self, **more: Any) -> KeyOrder:
        """A key of alice's, for a day."""
        allow = more.pop("allow", None)
        more["allow"] = allow and tuple(parse_allowance(one) for one in allow)
        return KeyOrder(
            **{"owner": "alice", "via": "htpasswd", "groups": ("dev",), "label": "", "expires": NOON + DAY, **more}
        )

    def make(self, **more: Any) -> str:
        """The text of a new key."""
        text: str = self.get(self.keys.create(self.order(**more)))[1]
        return text

    def check(self, text: str, address: str | None = "192.0.2.1") -> Identity | None:
        """Whom a key stands for; None if nobody."""
        found = self.keys.check_at_once(text, address)
        return found if isinstance(found, Identity) else None

    def identifier(self, text: str) -> str:
        """The id in a key."""
        return text[5:13]


class CheckTests(KeysCase):
    """Whom a key stands for."""

    def test_owner(self) -> None:
        """For its owner, with his groups, as long as it lives."""
        text = self.make()
        found = self.check(text)

        assert found is not None
        self.assertEqual((found.principal.name, found.principal.groups), ("alice", {"dev"}))
        self.assertEqual((found.via, found.expires, found.cap), (f"key:{self.identifier(text)}", NOON + DAY, None))
        self.assertEqual(found.principal.address, "192.0.2.1")
        self.assertTrue(self.keys.is_current(found))

    def test_narrowed(self) -> None:
        """It is meant for what it was made for, and so are the tokens that it buys."""
        found = self.check(self.make(allow=["oci:a=pull"]))

        assert found is not None
        assert found.cap is not None
        self.assertEqual([found.covers(oci("a", one)) for one in (Action.PULL, Action.PUSH)], [True, False])
        narrowed = self.keys.narrows(found)
        assert narrowed is not None
        self.assertFalse(narrowed.covers(oci("b", Action.PULL)))

    def test_wrong(self) -> None:
        """Another secret behind a known id, an unknown id, or a slip: nobody."""
        text, other = self.make(), new_key()
        forged = f"pkgd_{self.identifier(text)}_{other.text[14:57]}_"

        for one in (other.text, forged + text[-6:], text[:-1], text.swapcase(), "pkgd_", "pkgd_" + "é" * 59):
            self.assertIs(self.keys.check_at_once(one, None), Verdict.REJECTED)

    def test_recognised(self) -> None:
        """What begins like a key is never taken for a password, and nothing else for a key."""
        self.assertEqual([self.keys.recognises(one) for one in ("pkgd_x", "pkgdr_x", "eyJ", "")], [True, *[False] * 3])

    def test_expired(self) -> None:
        """On the second it is worth nothing, and what it vouched for neither."""
        text = self.make()
        found = self.check(text)
        assert found is not None
        self.clock.advance(DAY - 0.5)
        self.assertIsNotNone(self.check(text))
        self.clock.advance(0.5)

        self.assertIsNone(self.check(text))
        self.assertFalse(self.keys.is_current(found))

    def test_networks(self) -> None:
        """It is good where it may be used, also in the clothes of IPv6; and tokens that it bought likewise."""
        text = self.make(networks=("10.0.0.0/8", "2001:db8::/32"))

        good = ["10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"]
        bad = ["192.0.2.1", "::ffff:192.0.2.1", "2001:db9::1", "fe80::1%eth0", "", None, "/run/socket"]
        self.assertEqual([one for one in good + bad if self.check(text, one)], good)
        found = self.check(text, "10.1.2.3")
        assert found is not None
        self.assertTrue(self.keys.is_current(found))
        self.assertEqual(self.get(self.keys.check_token(text)), Verdict.REJECTED)

    def test_owner_gone(self) -> None:
        """Who is removed takes his keys along, at once."""
        text = self.make()
        self.users.clear()

        self.assertIsNone(self.check(text))


class RevokingTests(KeysCase):
    """The end of keys."""

    def test_revoked(self) -> None:
        """From the next check on, also for what it has vouched for, and in the next process."""
        text = self.make()
        found = self.check(text)
        assert found is not None
        self.get(self.keys.revoke(self.identifier(text)))

        self.assertIsNone(self.check(text))
        self.assertFalse(self.keys.is_current(found))
        self.keys = self.open()
        self.assertIsNone(self.check(text))

    def test_before_it_is_written(self) -> None:
        """It is worth nothing even while that is still being written down."""
        text = self.make()
        threads = HeldThreads()
        self.accounts._pool.threadpool = threads
        work = Deferred.fromCoroutine(self.keys.revoke(self.identifier(text)))

        self.assertIsNone(self.check(text))
        self.assertNoResult(work)
        threads.release()
        self.successResultOf(work)

    def test_not_written(self) -> None:
        """If it cannot be written down, it goes on, as the answer says."""
        text = self.make()
        self.get(self.break_table())
        self.failureResultOf(Deferred.fromCoroutine(self.keys.revoke(self.identifier(text))), FailedStorage)

        self.assertIsNotNone(self.check(text))

    def test_read_again_meanwhile(self) -> None:
        """A revoked key does not come back by a reading that has begun before."""
        text = self.make()
        threads = HeldThreads()
        self.accounts._pool.threadpool = threads
        loading = self.accounts.run(all_keys).addCallback(self.keys.use)
        threads.release()
        revoking = Deferred.fromCoroutine(self.keys.revoke(self.identifier(text)))
        while threads.waiting:
            threads.release()
        self.successResultOf(loading)
        self.successResultOf(revoking)

        self.assertIsNone(self.check(text))

    def break_table(self) -> Any:
        """Let every write fail."""
        return self.run_sql("ALTER TABLE api_key RENAME TO gone")

    async def run_sql(self, statement: str) -> None:
        """Do anything to the file."""
        await self.accounts.run(lambda t: t.execute(statement) and None)

    def test_expired_are_forgotten(self) -> None:
        """Long after its end a key is not even listed."""
        self.make()
        self.clock.advance(DAY + KEPT_EXPIRED - 1)
        self.get(self.keys.sweep())
        self.assertEqual(len(self.keys.list()), 1)
        self.clock.advance(1)
        self.get(self.keys.sweep())

        self.assertEqual((self.keys.list(), self.successResultOf(self.accounts.run(all_keys))), ([], []))


class MakingTests(KeysCase):
    """New keys."""

    def test_durable_first(self) -> None:
        """Nobody sees a key before it is on the disk, and until then it opens nothing."""
        threads = HeldThreads()
        self.accounts._pool.threadpool = threads
        work = Deferred.fromCoroutine(self.keys.create(self.order()))

        self.assertNoResult(work)
        self.assertEqual(self.keys.list(), [])
        threads.release()
        row, text = self.successResultOf(work)
        self.assertEqual((self.keys.find(row.id), self.identifier(text)), (row, row.id))

    def test_cancelled(self) -> None:
        """Who gives up waiting has seen no key; what is on the disk is a key that nobody has."""
        threads = HeldThreads()
        self.accounts._pool.threadpool = threads
        work = Deferred.fromCoroutine(self.keys.create(self.order()))
        work.addErrback(lambda _: None)
        work.cancel()
        threads.release()

        self.assertEqual(self.keys.list(), [])

    def test_not_written(self) -> None:
        """Without a place on the disk there is no key."""
        self.accounts.close()
        self.successResultOf(self.accounts.run(lambda t: t.execute("DROP TABLE api_key") and None))

        self.failureResultOf(Deferred.fromCoroutine(self.keys.create(self.order())), FailedStorage)
        self.assertEqual(self.keys.list(), [])

    def test_no_secret_kept(self) -> None:
        """Neither the file nor its log has the secret."""
        secret = self.make()[14:57].encode("ascii")

        for suffix in ("", "-wal"):
            with open(self.accounts.file.path + suffix, "rb") as file:
                self.assertNotIn(secret, file.read())


class ChildTests(KeysCase):
    """Keys that were made with keys."""

    def setUp(self) -> None:
        """A key for team's repositories, and one made with it, for everything."""
        super().setUp()
        self.parent = self.make(allow=["oci:team/**=pull,push"], networks=("10.0.0.0/8",))
        self.child = self.make(
            parent=self.identifier(self.parent), via="key", expires=NOON + 2 * DAY, allow=["**=pull"]
        )

    def test_no_wider(self) -> None:
        """It is as narrow as both, as short-lived as the first to end, and bound to the same networks."""
        found = self.check(self.child, "10.0.0.1")

        assert found is not None
        self.assertTrue(found.covers(oci("team/app", Action.PULL)))
        self.assertFalse(found.covers(oci("other", Action.PULL)))
        self.assertFalse(found.covers(oci("team/app", Action.PUSH)))
        self.assertEqual(found.expires, NOON + DAY)
        self.assertIsNone(self.check(self.child, "192.0.2.1"))

    def test_revoked_with(self) -> None:
        """It ends with the key that it was made with."""
        self.get(self.keys.revoke(self.identifier(self.parent)))

        self.assertIsNone(self.check(self.child, "10.0.0.1"))
        self.assertEqual(self.successResultOf(self.accounts.run(all_keys)), [])

    def test_orphan(self) -> None:
        """One whose maker is not there, as after a restore, is worth nothing."""
        identifier = self.identifier(self.parent)
        self.accounts.file.run(lambda t: t.execute("DELETE FROM api_key WHERE id = ?", (identifier,)) and None)
        self.look()

        self.assertIsNone(self.check(self.child, "10.0.0.1"))


class FileTests(KeysCase):
    """What other processes do, and what is written down later."""

    def test_command(self) -> None:
        """A key that the command makes beside a running daemon is good when that has looked, and one it ends is not."""
        key = new_key()
        row = KeyRow(
            *(key.id, key.digest, "alice", "robot", (), "", None, (), None, NOON, NOON + DAY),
        )
        self.accounts.file.run(lambda t: add_key(t, row))
        self.assertIsNone(self.check(key.text))
        self.look()
        self.assertIsNotNone(self.check(key.text))
        self.accounts.file.run(lambda t: delete_key(t, key.id))
        self.look()

        self.assertIsNone(self.check(key.text))

    def test_uses(self) -> None:
        """The last use is known at once, and written down once an hour at most."""
        text = self.make()
        writes = []
        run = self.accounts.run
        self.accounts.run = lambda interaction: (writes.append(1), run(interaction))[1]  # type: ignore[method-assign]
        for _ in range(3):
            self.check(text)
            self.get(self.keys.flush())
        self.clock.advance(USE_INTERVAL - 1)
        self.check(text)
        self.get(self.keys.flush())
        self.assertEqual((len(writes), self.keys.list()[0].used), (1, NOON))
        self.clock.advance(1)
        self.check(text)
        self.get(self.keys.flush())

        self.assertEqual(len(writes), 2)
        self.assertEqual([one.used for one in self.successResultOf(run(all_keys))], [NOON + USE_INTERVAL])

    def test_learn(self) -> None:
        """What a login finds out of an owner holds for his keys: other groups, or that he is let in no longer."""
        text, other = self.make(), self.make(owner="bob")
        self.users.add("bob")
        self.get(self.keys.learn("alice", ["ops"], suspended=False))
        found = self.check(text)
        assert found is not None
        self.assertEqual(found.principal.groups, {"ops"})

        self.get(self.keys.learn("alice", [], suspended=True))
        self.assertIsNone(self.check(text))
        self.assertIsNotNone(self.check(other))
        self.keys = self.open()
        self.assertIsNone(self.check(text))
        self.get(self.keys.learn("alice", ["dev"], suspended=False))
        self.assertIsNotNone(self.check(text))
