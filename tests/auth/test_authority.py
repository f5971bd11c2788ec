"""The authority: who is asked about which credentials, in which order, and who never is."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.authority import MAX_SEEN
from pkgd.auth.model import Access, Action, Identity, Principal, oci
from pkgd.auth.scopes import TokenCap, parse_scopes
from pkgd.auth.sources import PasswordSource, TokenSource, Verdict
from pkgd.errors import AuthUnavailable, Throttled, Unauthenticated
from tests.auth.fixtures import FakeIssuer, FakeSource, FakeTokenSource, Wall, table

HERE = "192.0.2.7"
CAROL = Identity(Principal("carol"), "api:a")


def basic(user: str, password: str) -> bytes:
    """The header."""
    return b"Basic " + b64encode(f"{user}:{password}".encode())


class AuthorityCase(SynchronousTestCase):
    """An authority with two users in a file."""

    def setUp(self) -> None:
        """Noon of some day."""
        self.clock = Clock()
        self.clock.advance(1_750_000_000.0)
        self.build()

    def build(self, *more: PasswordSource, tokens: list[TokenSource] | None = None, **options: int) -> None:
        """Put sources behind the file."""
        self.wall = Wall(self.clock, list(more), tokens, **options)
        self.authority = self.wall.authority

    def identify(self, header: bytes | None, **options: Any) -> Deferred[Identity]:
        """Ask who it is."""
        return Deferred.fromCoroutine(self.authority.identify(header, HERE, **options))

    def known(self, header: bytes | None, **options: Any) -> Identity:
        """Who it is."""
        return self.successResultOf(self.identify(header, **options))

    def refused(self, header: bytes, kind: type[Exception] = Unauthenticated, **options: Any) -> Any:
        """Nobody; returns the error."""
        return self.failureResultOf(self.identify(header, **options), kind).value

    def bearer(self, identity: Identity, *scopes: str) -> bytes:
        """The header with a token for an identity."""
        return b"Bearer " + self.wall.tokens.mint(identity, parse_scopes(scopes)).text.encode("ascii")


class PasswordTests(AuthorityCase):
    """Basic."""

    def test_nobody(self) -> None:
        """Who shows nothing is anonymous, at his address, at once."""
        found = self.authority.identify_at_once(None, HERE)

        self.assertEqual(found, Identity(Principal(address=HERE), presented=False))

    def test_file(self) -> None:
        """Who is in the file is known by it, and the next time at once."""
        self.assertIsNone(self.authority.identify_at_once(basic("alice", "secret"), HERE))

        self.assertEqual(self.known(basic("alice", "secret")).principal, Principal("alice", address=HERE))

        self.assertIsNotNone(self.authority.identify_at_once(basic("alice", "secret"), "192.0.2.8"))

    def test_one_answer(self) -> None:
        """A wrong password and an unknown user get the same answer, for the same work."""
        self.build(FakeSource(Verdict.UNKNOWN))
        errors = [self.refused(basic(user, "x")).message for user in ("alice", "mallory")]

        self.assertEqual(errors[0], errors[1])
        self.assertEqual(len(self.wall.hashing.checked), 2)

    def test_order(self) -> None:
        """A user of the file is nobody else's business, right or wrong; others are asked in order until one knows."""
        first, second, third = (FakeSource(one) for one in (Verdict.UNKNOWN, CAROL, Verdict.UNKNOWN))
        self.build(first, second, third)
        self.known(basic("alice", "secret"))
        self.refused(basic("alice", "wrong"))
        self.assertEqual(first.asked, [])

        self.assertEqual(self.known(basic("carol", "x")).principal.name, "carol")

        self.assertEqual((first.asked, second.asked, third.asked), ([("carol", "x")], [("carol", "x")], []))

    def test_asked(self) -> None:
        """Who vouches for a password hears what it is shown for."""
        source = FakeSource(CAROL)
        self.build(source)
        self.known(basic("carol", "x"), asked=parse_scopes(["repository:a:pull"]))
        self.known(basic("carol", "x"))

        self.assertEqual(source.scopes, ["repository:a:pull", ""])

    def test_rejected(self) -> None:
        """A rejection ends the search."""
        second = FakeSource(CAROL)
        self.build(FakeSource(Verdict.REJECTED), second)

        self.refused(basic("carol", "x"))

        self.assertEqual(second.asked, [])

    def test_unavailable(self) -> None:
        """Who cannot be asked may have known: unless another accepts, nobody is let in, nor told that he is wrong."""
        down = FakeSource(AuthUnavailable("down"))
        self.build(down, FakeSource(CAROL))
        self.assertEqual(self.known(basic("carol", "x")).principal.name, "carol")

        for other in (Verdict.UNKNOWN, Verdict.REJECTED):
            self.build(down, FakeSource(other))
            self.refused(basic("carol", "x"), AuthUnavailable)

    def test_file_unavailable(self) -> None:
        """A user of the file whose password cannot be hashed now is shown to nobody else."""
        remote = FakeSource(CAROL)
        self.build(FakeSource(AuthUnavailable("full"), "other", remote=False), remote)

        self.refused(basic("carol", "x"), AuthUnavailable)

        self.assertEqual(remote.asked, [])

    def test_foreign(self) -> None:
        """Credentials that may be another server's leave this process never; and an unknown user costs no hash."""
        remote = FakeSource(CAROL)
        self.build(remote, per_address=1)

        for _ in range(3):
            self.refused(basic("carol", "x"), local_only=True)
        self.assertEqual((remote.asked, self.wall.hashing.checked), ([], []))
        self.assertEqual(self.known(basic("alice", "secret"), local_only=True).principal.name, "alice")

    def test_foreign_guesses(self) -> None:
        """But guesses at a user of the file count as such."""
        self.build(per_user=1)
        self.refused(basic("alice", "x"), local_only=True)

        self.refused(basic("alice", "y"), Throttled, local_only=True)

    def test_throttled(self) -> None:
        """Too many failures are an answer of their own; who is remembered comes in all the same."""
        self.build(per_user=2)
        self.known(basic("bob", "other"))
        for user in ("alice", "bob"):
            for _ in range(2):
                self.refused(basic(user, "x"))
            self.refused(basic(user, "x"), Throttled)

        self.refused(basic("alice", "secret"), Throttled)
        self.assertEqual(self.known(basic("bob", "other")).principal.name, "bob")
        self.clock.advance(30)
        self.assertEqual(self.known(basic("alice", "secret")).principal.name, "alice")

    def test_successes(self) -> None:
        """Successes never count."""
        self.build(per_user=1, per_address=1)
        for _ in range(20):
            self.clock.advance(61)
            self.known(basic("alice", "secret"))
        self.known(basic("bob", "other"))


class FormTests(AuthorityCase):
    """Passwords that are tokens."""

    def setUp(self) -> None:
        """A source of keys, and one of passwords that would take anything."""
        super().setUp()
        self.keys, self.remote = FakeTokenSource(), FakeSource(CAROL)
        self.build(self.remote, tokens=[self.keys])

    def test_key(self) -> None:
        """A key is good behind any user name, and behind Bearer."""
        for header in (basic("key", "pkgd_good"), basic("", "pkgd_good"), b"Bearer pkgd_good"):
            self.assertEqual(self.known(header).principal, Principal("robot", address=HERE))

    def test_never_shown(self) -> None:
        """What looks like a key or a JWT is shown to no back end, whether it is one or not."""
        for password in ("pkgd_bad", "eyJh.eyJz.c2ln", "eyJh.eyJz."):
            self.refused(basic("carol", password))
            self.refused(b"Bearer " + password.encode())
        self.assertEqual(self.remote.asked, [])

    def test_not_throttled(self) -> None:
        """Keys cannot be guessed, so a wrong one locks nobody out."""
        self.build(tokens=[self.keys], per_address=1)
        for _ in range(3):
            self.refused(basic("key", "pkgd_bad"))

        self.known(basic("alice", "secret"))

    def test_own_token_is_no_password(self) -> None:
        """An access token of ours stands behind Bearer only."""
        token = self.bearer(self.known(basic("alice", "secret")))[7:].decode("ascii")

        self.refused(basic("alice", token))


class TokenTests(AuthorityCase):
    """Access tokens."""

    def test_at_once(self) -> None:
        """A token says at once who it is for, the first time too, and from where he comes now."""
        header = self.bearer(self.known(basic("alice", "secret")), "repository:a:pull")
        for address in (HERE, "192.0.2.8", HERE):
            found = self.authority.identify_at_once(header, address)
            assert found is not None
            self.assertEqual(found.principal, Principal("alice", address=address))
            self.assertTrue(found.covers(oci("a", Action.PULL)))
            self.assertFalse(found.covers(oci("b", Action.PULL)))

    def test_expired(self) -> None:
        """Also one that has been seen before ends in time."""
        header = self.bearer(self.known(basic("alice", "secret")))
        self.known(header)
        self.clock.advance(300)

        self.assertRaises(Unauthenticated, self.authority.identify_at_once, header, HERE)

    def test_revoked(self) -> None:
        """Who is out of the file, or has another password, is out with his tokens at the next request."""
        header = self.bearer(self.known(basic("alice", "secret")))
        self.known(header)

        for users in (table(alice="new"), table(bob="other")):
            self.wall.use(users)
            self.assertEqual(self.refused(header).reason, "the token has been revoked")

    def test_source_gone(self) -> None:
        """A token of a source that is configured no longer is worth nothing; nobody's stays nobody's."""
        self.refused(self.bearer(CAROL))
        self.assertIsNone(self.known(self.bearer(Identity(Principal()))).principal.name)

    def test_whole_names(self) -> None:
        """A source `api:a` is asked about its own tokens, and a source `key` about those of every key."""
        remote, keys = FakeSource(CAROL), FakeTokenSource()
        self.build(remote, tokens=[keys])
        headers = [self.bearer(CAROL), self.bearer(Identity(Principal("robot"), "key:1"))]
        for header in headers:
            self.known(header)

        remote.current = keys.current = False

        for header in headers:
            self.refused(header)
        self.refused(self.bearer(Identity(Principal("x"), "api:b")))

    def test_narrowed(self) -> None:
        """A token that was bought with a key is never wider than the key is now, though it says so."""
        keys = FakeTokenSource()
        self.build(tokens=[keys])
        header = self.bearer(self.known(b"Bearer pkgd_good"), "repository:a:pull repository:b:pull")
        self.assertTrue(self.known(header).covers(oci("b", Action.PULL)))

        keys.cap = TokenCap.of(parse_scopes(["repository:a:*"]))

        found = self.known(header)
        covered = [found.covers(one) for one in (oci("a", Action.PULL), oci("b", Action.PULL), oci("a", Action.PUSH))]
        self.assertEqual(covered, [True, False, False])
        self.assertTrue(found.covers(Access("registry", Action.LIST)) is False)

    def test_widened(self) -> None:
        """What a trusted issuer allows goes with the token, and no longer than the issuer is trusted with it."""
        issuer = FakeIssuer(CAROL)
        self.build(issuer, tokens=[FakeTokenSource()])
        header = self.bearer(evolve(CAROL, stamp="access repository:a:pull"), "repository:a:pull,push")

        granted = self.known(header).principal.granted
        assert granted is not None
        self.assertTrue(granted.covers(oci("a", Action.PULL)))
        self.assertFalse(granted.covers(oci("a", Action.PUSH)))
        self.assertIsNone(self.known(self.bearer(CAROL)).principal.granted)

        issuer.widens = lambda identity: None  # type: ignore[method-assign]
        self.assertIsNone(self.known(header).principal.granted)
        self.assertTrue(self.known(header).covers(oci("a", Action.PULL)))

    def test_bounded(self) -> None:
        """What is remembered of tokens has an end."""
        alice = self.known(basic("alice", "secret"))
        header = self.bearer(alice)
        for number in range(MAX_SEEN):
            self.authority._seen[b"%d" % number, HERE] = alice
        self.authority.identify_at_once(header, HERE)

        self.assertEqual(len(self.authority._seen), MAX_SEEN)
        self.assertIn((header, HERE), self.authority._seen)

    def test_unknown_bearer(self) -> None:
        """What is no token of anybody's is refused."""
        for text in (b"secret", b"eyJh.eyJz.c2ln", b"a.b.c"):
            self.refused(b"Bearer " + text)


class CountTests(AuthorityCase):
    """What is counted: every request once, by what was shown and what became of it."""

    def counted(self) -> tuple[list[tuple[str, str]], list[bool]]:
        """What was counted since the last time."""
        return self.wall.counts.taken()

    def test_anonymous(self) -> None:
        """Who shows nothing."""
        self.known(None)
        self.assertEqual(self.counted(), ([("anon", "ok")], []))

    def test_passwords(self) -> None:
        """A password is hashed the first time and known the next; a wrong one is never known."""
        self.known(basic("alice", "secret"))
        self.assertEqual(self.counted(), ([("htpasswd", "ok")], [False]))
        self.known(basic("alice", "secret"))
        self.assertEqual(self.counted(), ([("htpasswd", "ok")], [True]))
        for user in ("alice", "mallory"):
            self.refused(basic(user, "wrong"))
            self.assertEqual(self.counted(), ([("htpasswd", "rejected")], [False]))

    def test_throttled(self) -> None:
        """Who has failed too often is not looked at, so there is neither a hit nor a miss."""
        self.build(per_user=1)
        self.refused(basic("alice", "wrong"))
        self.counted()
        self.refused(basic("alice", "wrong"), Throttled)
        self.assertEqual(self.counted(), ([("htpasswd", "throttled")], []))

    def test_back_ends(self) -> None:
        """The method is that of whoever has decided, or was asked last; one that is down decides nothing."""
        down = FakeSource(AuthUnavailable("down"), "api:down")
        for sources, results in (
            ([FakeSource(CAROL)], ("api", "ok")),
            ([FakeSource(Verdict.REJECTED)], ("api", "rejected")),
            ([FakeSource(Verdict.UNKNOWN)], ("api", "rejected")),
            ([down, FakeSource(CAROL)], ("api", "ok")),
        ):
            self.build(*sources)
            try:
                self.successResultOf(self.identify(basic("carol", "x")))
            except self.failureException:
                self.assertEqual(results[1], "rejected")
            self.assertEqual(self.counted()[0], [results])

    def test_unavailable(self) -> None:
        """A back end that is down, and a queue of hashes that is full."""
        self.build(FakeSource(AuthUnavailable("down")))
        self.refused(basic("carol", "x"), AuthUnavailable)
        self.assertEqual(self.counted()[0], [("api", "unavailable")])
        self.build(FakeSource(AuthUnavailable("full"), "htpasswd", remote=False))
        self.refused(basic("carol", "x"), AuthUnavailable)
        self.assertEqual(self.counted()[0], [("htpasswd", "unavailable")])

    def test_keys(self) -> None:
        """Keys, behind Basic and Bearer; whoever is remembered is no matter of theirs."""
        self.build(tokens=[FakeTokenSource()])
        for header in (basic("key", "pkgd_good"), b"Bearer pkgd_good"):
            self.known(header)
            self.assertEqual(self.counted(), ([("key", "ok")], []))
        for header in (basic("key", "pkgd_bad"), b"Bearer pkgd_bad"):
            self.refused(header)
            self.assertEqual(self.counted(), ([("key", "rejected")], []))

    def test_tokens(self) -> None:
        """A token is verified the first time and known the next; one that has been revoked is refused."""
        header = self.bearer(self.known(basic("alice", "secret")))
        self.counted()
        self.known(header)
        self.assertEqual(self.counted(), ([("token", "ok")], [False]))
        self.known(header)
        self.assertEqual(self.counted(), ([("token", "ok")], [True]))
        self.wall.use(table(bob="other"))
        self.refused(header)
        self.assertEqual(self.counted(), ([("token", "rejected")], [True]))
        self.clock.advance(300)
        self.refused(header)
        self.assertEqual(self.counted(), ([("token", "rejected")], [False]))

    def test_tokens_of_nobody(self) -> None:
        """What looks like a token of an issuer, and what looks like nothing at all."""
        for text, method in ((b"eyJh.eyJz.c2ln", "oidc"), (b"secret", "token")):
            self.refused(b"Bearer " + text)
            self.assertEqual(self.counted(), ([(method, "rejected")], []))


class DisabledTests(AuthorityCase):
    """Whom good credentials of any kind do not help."""

    def test_password(self) -> None:
        """A password is good for nothing, at once, though it was lately right; others are not troubled."""
        self.known(basic("alice", "secret"))
        self.wall.counts.taken()
        self.wall.disabled.add("alice")

        for _ in range(2):
            self.assertIn("disabled", self.refused(basic("alice", "secret")).message)
        self.assertEqual(self.wall.counts.taken()[0], [("htpasswd", "rejected")] * 2)
        self.known(basic("bob", "other"))
        self.wall.disabled.clear()
        self.known(basic("alice", "secret"))

    def test_asked(self) -> None:
        """So it is when a password has to be looked at, here or by a back end."""
        self.build(FakeSource(CAROL))
        self.wall.disabled |= {"alice", "carol"}

        for user, password in (("alice", "secret"), ("carol", "x")):
            self.assertIn("disabled", self.refused(basic(user, password)).message)

    def test_not_told(self) -> None:
        """Who does not know the password is not told who is disabled."""
        self.wall.disabled.add("alice")

        self.assertEqual(self.refused(basic("alice", "x")).message, self.refused(basic("mallory", "x")).message)

    def test_token(self) -> None:
        """An access token, seen before or not, and a token of whoever else vouches for him."""
        self.build(tokens=[FakeTokenSource()])
        alice = self.bearer(self.known(basic("alice", "secret")))
        self.known(alice)
        self.wall.disabled |= {"alice", "robot"}

        self.refused(alice)
        for header in (b"Bearer pkgd_good", basic("x", "pkgd_good")):
            self.assertIn("disabled", self.refused(header).message)

    def test_vouched(self) -> None:
        """What his refresh token would buy is not current."""
        identity = self.known(basic("alice", "secret"))
        self.assertTrue(self.authority.is_current(identity))
        self.wall.disabled.add("alice")
        self.assertFalse(self.authority.is_current(identity))

    def test_anonymous(self) -> None:
        """Nobody in particular is never disabled."""
        self.wall.disabled.add("alice")

        self.assertIsNotNone(self.authority.identify_at_once(None, HERE))
