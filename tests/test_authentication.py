"""Who may, as it is made from a configuration."""

from __future__ import annotations

import os
import shutil
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.apikeys import KeyOrder, key_row
from pkgd.auth.audit import Unaudited
from pkgd.auth.model import Access, Action, Identity, Principal, oci
from pkgd.auth.scopes import parse_scopes
from pkgd.auth.secrettexts import new_key
from pkgd.authentication import Authentication, authenticate
from pkgd.blocking import InlineBlocking
from pkgd.config import parse
from pkgd.errors import ConfigError, Unauthenticated
from pkgd.formats.names import RepositoryName
from pkgd.metrics import Metrics
from pkgd.sharing import Tasks
from pkgd.state.accountrows import DisabledRow, add_key, disable_user, enable_user
from tests.auth.fixtures import hashed
from tests.auth.issuing import jwk, jwks
from tests.fixtures import InlineReactor, InlineThreads
from tests.web.auth.fixtures import basic
from tests.web.recorder import recorded

BASIC = "auth: {mode: basic, basic_htpasswd_file: users}\n"


async def _never(name: RepositoryName) -> bool:
    return False


class AuthenticationCase(SynchronousTestCase):
    """A directory with a file of users, and what is made of a configuration beside it."""

    def setUp(self) -> None:
        """One user, `alice`."""
        self.base = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(self.base, "state"))
        self.write("alice", "secret")

    def write(self, user: str, password: str) -> None:
        """Put another user into the file."""
        self.write_text(f"{user}:{hashed(password).decode('ascii')}\n")

    def write_text(self, text: str) -> None:
        """Put anything into the file."""
        with open(os.path.join(self.base, "users"), "w", encoding="utf-8") as file:
            file.write(text)

    def make(self, text: str = BASIC, before: Authentication | None = None) -> Authentication:
        """What is made of a configuration, in the place of another."""
        self.metrics = Metrics()
        clock: Any = InlineReactor()
        config = parse(f"state_dir: state\n{text}", {}, self.base)
        return authenticate(clock, config, self.metrics, Unaudited(), Tasks(), _never, lambda: 1_750_000_000.0, before)

    def is_let_in(self, found: Authentication, user: str, *other: str) -> bool:
        """Whether the user is there, with the password `secret` or another."""
        source = found._users.source  # type: ignore[union-attr]
        return source.table.hashes.get(user) == hashed(other[0] if other else "secret")


class MadeTests(AuthenticationCase):
    """What there is in which mode."""

    def test_none(self) -> None:
        """Without a mode everybody may do everything, and there are neither tokens nor keys."""
        for text in ("", "auth: {mode: none}\n"):
            found = self.make(text)
            found.open()
            request, _ = recorded(headers=basic("anybody", "x"))
            grant = found.gate.admit_at_once(request, oci("a", Action.DELETE))

            assert grant is not None
            self.assertEqual((grant.principal.name, found.door), (None, None))
        self.assertEqual(os.listdir(os.path.join(self.base, "state")), [])

    def test_basic(self) -> None:
        """With users there is a challenge, a token service, and a key that the first start makes."""
        found = self.make()
        found.open()

        request, _ = recorded("GET /v2/a/tags/list HTTP/1.1")
        self.assertRaises(Unauthenticated, found.gate.admit_at_once, request, oci("a", Action.PULL))
        self.assertIsNotNone(found.door)
        self.assertEqual(len(os.listdir(os.path.join(self.base, "state", "token-keys"))), 1)

    def test_rules(self) -> None:
        """Whoever has logged in may pull and push; nobody may delete."""
        policy = self.make().gate.policy
        for principal, actions in (
            (Principal("alice"), {Action.PULL, Action.PUSH, Action.OVERWRITE}),
            (Principal(), set()),
        ):
            allowed = {one for one in Action if policy.allows(principal, oci("a", one))} - {Action.ENTER, Action.LIST}
            self.assertEqual(allowed, actions)

    def test_broken(self) -> None:
        """A file of users that is broken or missing ends the start."""
        self.write_text("alice:secret\n")
        self.assertRaises(ConfigError, self.make)
        self.assertRaises(ConfigError, self.make, "auth: {mode: basic, basic_htpasswd_file: nowhere}")

    def test_names(self) -> None:
        """Tokens are of the external URL and for its host, or for what is configured."""
        for more, issuer, audience in (
            ("", "pkgd", "pkgd"),
            (
                "server: {external_url: 'https://pkg.example.com:8443'}\n",
                "https://pkg.example.com:8443",
                "pkg.example.com:8443",
            ),
        ):
            parts: Any = self.make(BASIC + more).door._parts  # type: ignore[union-attr]
            self.assertEqual((parts.tokens.settings.issuer, parts.tokens.settings.audience), (issuer, audience))
        text = BASIC.replace("users}", "users, token: {service: ours, lifetime: 10m}}")
        parts = self.make(text).door._parts  # type: ignore[union-attr]
        self.assertEqual((parts.tokens.settings.audience, parts.tokens.settings.lifetime), ("ours", 600))


class OidcTests(AuthenticationCase):
    """Mode oidc."""

    text = """
server: {external_url: https://pkg.example.com}
auth:
  mode: oidc
  oidc: {issuer: https://idp.example.com, client_id: pkgd, client_secret_file: secret}
"""

    def setUp(self) -> None:
        """The client has a secret."""
        super().setUp()
        with open(os.path.join(self.base, "secret"), "w", encoding="utf-8") as file:
            file.write("canary\n")

    def refused(self, found: Authentication, user: str, password: str) -> str:
        """Why somebody does not get in."""
        request, _ = recorded("GET /v2/ HTTP/1.1", basic(user, password))
        work = Deferred.fromCoroutine(found.gate.admit(request, Access("registry", Action.ENTER)))
        failure = self.failureResultOf(work, Unauthenticated)
        return str(failure.value)

    def test_made(self) -> None:
        """Nothing is asked at the start; a password is refused with words that lead on."""
        found = self.make(self.text)

        assert found.browsers is not None
        self.assertEqual(found.browsers.provider.state(), "degraded")
        self.assertIn("https://pkg.example.com/ui/keys", self.refused(found, "alice", "secret"))
        self.assertNotIn("canary", repr(found.browsers.provider.settings))

    def test_secret(self) -> None:
        """The secret is the file's line."""
        found = self.make(self.text)

        assert found.browsers is not None
        self.assertEqual(found.browsers.provider.settings.client_secret, "canary")
        os.unlink(os.path.join(self.base, "secret"))
        self.assertRaises(ConfigError, self.make, self.text)

    def test_break_glass(self) -> None:
        """The users of the file are there whatever the provider does; the other mode's file is not read."""
        more = self.text.replace("client_id: pkgd", "client_id: pkgd, break_glass_htpasswd: users")

        self.assertTrue(self.is_let_in(self.make(more), "alice"))
        elsewhere = self.text.replace("mode: oidc", "mode: oidc\n  basic_htpasswd_file: nothing")
        self.assertIsNone(self.make(elsewhere)._users)


class KeyFileTests(AuthenticationCase):
    """The file of API keys."""

    def test_damaged(self) -> None:
        """A damaged one stops the start."""
        found = self.make()
        with open(os.path.join(self.base, "state", "pkgd.sqlite"), "wb") as file:
            file.write(b"x" * 5000)

        self.assertRaises(ConfigError, found.open)

    def test_look(self) -> None:
        """What commands write into it beside the daemon is seen when it looks: a key, and that its owner is let out."""
        found = self.make()
        found.open()
        logins: Any = found.lasting.logins
        logins.accounts._pool.threadpool = InlineThreads()
        found.start()
        self.addCleanup(found.stop)
        row = key_row(KeyOrder("robot:ci", "robot", (), "", 1_760_000_000.0), new_key(), 1_750_000_000.0)
        for change, states in (
            (partial(add_key, row=row), [False]),
            (partial(disable_user, row=DisabledRow("robot:ci", 1.0)), [True]),
            (partial(enable_user, user="robot:ci"), [False]),
        ):
            logins.accounts.file.run(change)
            self.successResultOf(Deferred.fromCoroutine(found.look()))
            self.assertEqual([one.suspended for one in logins.keys.list()], states)

    def test_none(self) -> None:
        """Where nobody logs in there is none."""
        found = self.make("auth: {mode: none}\n")
        found.open()

        self.assertEqual(os.listdir(os.path.join(self.base, "state")), [])
        self.assertEqual(list(found.login_doors), [])


class ReloadTests(AuthenticationCase):
    """The file of users changes."""

    def refresh(self, found: Authentication) -> None:
        """Look at it."""
        self.successResultOf(Deferred.fromCoroutine(found.refresh(InlineBlocking())))

    def stale(self) -> bool:
        """What the metric says."""
        return b"pkgd_auth_users_stale 1.0" in self.metrics.render()[0]

    def test_changed(self) -> None:
        """Whoever is new is known, whoever is gone is not, with everything that vouched for him."""
        found = self.make()
        found.open()
        parts: Any = found.door._parts  # type: ignore[union-attr]
        alice = Identity(Principal("alice"), "htpasswd", found._users.source.table.stamps["alice"])  # type: ignore[union-attr]
        header = f"Bearer {parts.tokens.mint(alice, parse_scopes(['repository:a:pull'])).text}"
        request, _ = recorded("GET /v2/a/tags/list HTTP/1.1", {"Authorization": header})
        self.assertIsNotNone(found.gate.admit_at_once(request, oci("a", Action.PULL)))

        self.write("bobby", "secret")
        self.refresh(found)

        self.assertTrue(self.is_let_in(found, "bobby"))
        self.assertRaises(Unauthenticated, found.gate.admit_at_once, request, oci("a", Action.PULL))

    def test_broken(self) -> None:
        """A broken file changes nothing but the log and a metric; a right one puts that right."""
        found = self.make()
        self.write_text("alice:secret\n")
        self.refresh(found)
        self.refresh(found)
        self.assertTrue(self.is_let_in(found, "alice"))
        self.assertTrue(self.stale())

        self.write("alice", "other")
        self.refresh(found)
        self.assertTrue(self.is_let_in(found, "alice", "other"))
        self.assertFalse(self.stale())

    def test_mode_none(self) -> None:
        """Where there are no users any more, no broken file of them is complained about."""
        found = self.make()
        self.write_text("alice:secret\n")
        self.refresh(found)
        metrics = self.metrics
        self.assertTrue(self.stale())

        clock: Any = InlineReactor()
        config = parse("state_dir: state\nauth: {mode: none}\n", {}, self.base)
        authenticate(clock, config, metrics, Unaudited(), Tasks(), _never, before=found).take_effect()

        self.assertFalse(self.stale())

    def test_keys(self) -> None:
        """Keys are looked at as well; what cannot be read leaves them as they are."""
        found = self.make()
        found.open()
        before = found._keys.current
        os.chmod(os.path.join(self.base, "state", "token-keys"), 0o755)

        self.successResultOf(Deferred.fromCoroutine(found.refresh_keys(InlineBlocking())))

        self.assertIs(found._keys.current, before)
        self.assertRaises(ConfigError, found.open)

    def test_nothing_to_do(self) -> None:
        """Without users there is nothing to look at."""
        found = self.make("")
        self.refresh(found)
        self.successResultOf(Deferred.fromCoroutine(found.refresh_keys(InlineBlocking())))


class SuccessionTests(AuthenticationCase):
    """One configuration after another."""

    backend = BASIC.replace("users}", "users, basic_api_backends: [https://a.example/x]}")
    oidc = OidcTests.text.replace(", client_secret_file: secret", "")

    def test_users(self) -> None:
        """What was right a moment ago stays so for the same file; what has changed in it counts from its turn on."""
        found = self.make()
        self.write("bobby", "secret")

        after = self.make(before=found)

        self.assertIs(after._users.source, found._users.source)  # type: ignore[union-attr]
        self.assertEqual([self.is_let_in(after, one) for one in ("alice", "bobby")], [True, False])
        after.take_effect()
        self.assertEqual([self.is_let_in(after, one) for one in ("alice", "bobby")], [False, True])

    def test_other_users(self) -> None:
        """Nothing stays for another file, and a broken one changes nothing."""
        found = self.make()
        shutil.copy(os.path.join(self.base, "users"), os.path.join(self.base, "others"))

        after = self.make(BASIC.replace("users}", "others}"), found)

        self.assertIsNot(after._users.source, found._users.source)  # type: ignore[union-attr]
        self.write_text("alice:secret\n")
        self.assertRaises(ConfigError, self.make, BASIC, found)
        self.assertTrue(self.is_let_in(found, "alice"))

    def test_back_ends(self) -> None:
        """Back ends stay with what they have said, unless something of them has changed, or who our own users are."""
        found = self.make(self.backend)
        shutil.copy(os.path.join(self.base, "users"), os.path.join(self.base, "others"))

        same = self.make(f"{self.backend}limits: {{upload_size: 1MiB}}\n", found)
        other = [self.make(self.backend.replace(*change), found) for change in (("/x", "/y"), ("users,", "others,"))]

        self.assertIs(same.federation, found.federation)
        for one in other:
            self.assertIsNot(one.federation, found.federation)

    def test_keys_of_a_workload(self) -> None:
        """Another key in the same file is a change."""
        path = os.path.join(self.base, "keys.json")
        text = BASIC.replace(
            "users}",
            "users, oidc: {workload: [{issuer: 'https://a.example', jwks_file: keys.json,"
            " audience: [a], username: '${claims.sub}'}]}}",
        )
        found = []
        for algorithm in ("EdDSA", "EdDSA", "ES256"):
            with open(path, "wb") as file:
                file.write(jwks(jwk(algorithm)))
            found.append(self.make(text, found[-1] if found else None))

        self.assertIs(found[0].federation, found[1].federation)
        self.assertIsNot(found[1].federation, found[2].federation)

    def test_provider(self) -> None:
        """What is known of a provider stays, unless something of it has changed."""
        found = self.make(self.oidc)

        same, other = self.make(self.oidc, found), self.make(self.oidc.replace("pkgd}", "other}"), found)

        self.assertIs(same._provider, found._provider)
        self.assertIsNot(other._provider, found._provider)

    def test_close(self) -> None:
        """What another configuration goes on with stays open."""
        found = self.make(self.backend)
        same = self.make(self.backend, found)
        (voucher,) = found.federation.vouchers

        self.successResultOf(Deferred.fromCoroutine(found.close([same])))
        self.assertFalse(voucher.client._closed)

        self.successResultOf(Deferred.fromCoroutine(same.close()))
        self.assertTrue(voucher.client._closed)
