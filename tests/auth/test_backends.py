"""Back ends that know passwords: what they are asked, what their answers mean, and what is remembered of them."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Sequence
from typing import Any

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.backendcall import MAX_ANSWER, BackEndCall, Question
from pkgd.auth.backends import MAX_CALLS, ApiBackEnd, BackEndSettings
from pkgd.auth.jwk import parse_jwks
from pkgd.auth.jwks import StaticKeys
from pkgd.auth.jwtverify import TokenRules, Verifier
from pkgd.auth.model import Action, Identity, oci
from pkgd.auth.remembered import MAX_ENTRIES, REFUSED_SECONDS, Remembered
from pkgd.auth.scopes import parse_scopes
from pkgd.auth.sources import PasswordSource, Remembering, Verdict, Widening
from pkgd.errors import AuthUnavailable, UpstreamUnavailable
from pkgd.outbound.breaker import FAILURES, OPEN_SECONDS
from tests.auth.issuing import ISSUER, NOW, Reply, Web, jwk, jwks, token

URL = "https://auth.example.com/login"
SETTINGS = BackEndSettings("corp")


def issued(**changes: Any) -> Reply:
    """The answer with a token."""
    now = changes.pop("now", NOW)
    times = {"iat": int(now), "exp": int(now) + 600}
    return Reply(body=json.dumps({"token": token("EdDSA", **{**times, **changes})}).encode())


class BackEndCase(SynchronousTestCase):
    """A back end that accepts alice."""

    def setUp(self) -> None:
        """Its answer is `self.web.answers[URL]`."""
        self.web = Web()
        self.web.answers[URL] = issued()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.locals: set[str] = set()
        self.told: list[tuple[str, float]] = []
        self.make()

    def make(self, settings: BackEndSettings = SETTINGS, question: Question = Question(URL)) -> None:  # noqa: B008
        """The back end with other settings."""
        verifier = Verifier(StaticKeys(parse_jwks(jwks(jwk("EdDSA")))), TokenRules(ISSUER, ("pkg.example.com",)))
        call = BackEndCall(question, self.web)  # type: ignore[arg-type]
        self.backend = ApiBackEnd(
            *(settings, call, verifier, self.clock, self.clock.seconds, lambda name: name in self.locals),
            lambda result, seconds: self.told.append((result, seconds)),
        )

    def begin(
        self, user: str = "alice", word: str = "right", asked: Sequence[str] = ()
    ) -> Deferred[Identity | Verdict]:
        """Ask."""
        return Deferred.fromCoroutine(self.backend.check(user, word, parse_scopes(asked)))

    def check(self, user: str = "alice", word: str = "right", asked: Sequence[str] = ()) -> Identity | Verdict:
        """What it says at once."""
        return self.successResultOf(self.begin(user, word, asked))

    def accepted(self, user: str = "alice", word: str = "right", asked: Sequence[str] = ()) -> Identity:
        """Whom it accepts."""
        found = self.check(user, word, asked)
        assert isinstance(found, Identity), found
        return found

    def assert_unavailable(self, user: str = "alice") -> None:
        """It gives no answer, and nothing of the credentials is in the error."""
        error = self.failureResultOf(self.begin(user), AuthUnavailable).value
        self.assertNotIn("right", str(error) + repr(error))

    def hold(self) -> list[Deferred[Any]]:
        """From now on, questions wait; these are they."""
        waiting: list[Deferred[Any]] = []

        def ask() -> Deferred[Any]:
            waiting.append(Deferred())
            return waiting[-1]

        self.web.answers[URL] = ask
        return waiting


class QuestionTests(BackEndCase):
    """What goes out."""

    def test_post(self) -> None:
        """Basic in UTF-8, an id, and what this server is called."""
        self.make(question=Question(URL, service="pkg.example.com"))
        self.web.answers[URL] = issued(sub="älice")
        self.accepted("älice", "pass:wörd")

        (headers, body), (asked,) = self.web.sent[0], self.web.asked
        self.assertEqual(asked, ("POST", URL))
        self.assertEqual(b64decode(headers["Authorization"].removeprefix("Basic ")).decode(), "älice:pass:wörd")
        self.assertEqual(headers["Content-Type"], "application/json")
        self.assertEqual(len(headers["X-Request-Id"]), 36)
        self.assertEqual(body, b'{"service":"pkg.example.com"}')

    def test_without_body(self) -> None:
        """A POST may have an empty body, a GET has none."""
        self.make(question=Question(URL))
        self.accepted()
        self.make(question=Question(URL, "GET", "pkg.example.com"))
        self.accepted()

        self.assertEqual([body for _, body in self.web.sent], [b"", None])
        self.assertNotIn("Content-Type", self.web.sent[1][0])

    def test_scopes(self) -> None:
        """What the user wants to do, the same for the same in whatever order; an empty list where that is nothing."""
        self.make(question=Question(URL, service="pkg.example.com", tells_scopes=True))
        self.accepted(asked=["repository:b:push,pull", "apt:a:pull"])
        self.accepted()

        self.assertEqual(
            [json.loads(body or b"") for _, body in self.web.sent],
            [
                {"service": "pkg.example.com", "scopes": ["apt:a:pull", "repository:b:pull,push"]},
                {"service": "pkg.example.com", "scopes": []},
            ],
        )

    def test_untold(self) -> None:
        """Without being configured so, nobody is told."""
        self.make(question=Question(URL, service="pkg.example.com"))
        self.accepted(asked=["repository:secret/name:pull"])

        self.assertNotIn(b"secret/name", self.web.sent[0][1] or b"")

    def test_not_asked(self) -> None:
        """Names that are not its, empty words, what is a token, and names that would be read otherwise."""
        self.make(evolve(SETTINGS, users=["*@partner.example"]))
        for user, password in (
            ("alice", "right"),
            ("alice@partner.example.evil", "right"),
            ("alice@partner.example", ""),
            ("alice@partner.example", token("EdDSA")),
            ("x:alice@partner.example", "right"),
            ("", "right"),
        ):
            self.assertIs(self.check(user, password), Verdict.UNKNOWN)
            self.assertIs(self.backend.remembered(user, password), Verdict.UNKNOWN)
        self.assertEqual(self.web.asked, [])


class AnswerTests(BackEndCase):
    """What an answer means."""

    def test_interface(self) -> None:
        """It is a password source that is asked over the network."""
        source: PasswordSource = self.backend
        self.assertTrue(source.remote)
        self.assertIsInstance(source, Remembering)

    def test_accepted(self) -> None:
        """Name, groups, claims and the end of the token."""
        self.web.answers[URL] = issued(groups=["dev"], team="x")
        found = self.accepted()

        principal = found.principal
        self.assertEqual((principal.name, principal.groups, principal.issuer), ("alice", frozenset(["dev"]), ISSUER))
        self.assertEqual(principal.claims["team"], "x")
        self.assertEqual((found.via, found.expires, found.cap), ("api:corp", NOW + 600, None))
        self.assertTrue(self.backend.is_current(found))

    def test_forms(self) -> None:
        """A member of JSON, the first of those that are configured, or the token alone."""
        text = token("EdDSA")
        for body, kind in (
            (json.dumps({"access_token": text}).encode(), "application/json; charset=utf-8"),
            (json.dumps({"token": 5, "id_token": text}).encode(), "application/vnd.x+json"),
            (text.encode() + b"\n", "text/plain"),
            (text.encode(), "application/jwt"),
        ):
            for status in (200, 201):
                self.make()
                self.web.answers[URL] = Reply(status, body, kind)
                self.accepted()

    def test_refused(self) -> None:
        """401 and 403 are a no: the next one's turn, or the last word."""
        for status in (401, 403):
            self.web.answers[URL] = Reply(status)
            self.make()
            self.assertIs(self.check(), Verdict.UNKNOWN)
            self.make(evolve(SETTINGS, on_reject="stop"))
            self.assertIs(self.check(), Verdict.REJECTED)

    def test_no_answer(self) -> None:
        """Everything else is none: no redirect is followed, nothing is guessed."""
        good = json.dumps({"token": token("EdDSA")}).encode()
        for reply in (
            *(Reply(status, good, location=URL) for status in (204, 206, 301, 302, 307, 308, 400, 404, 405, 429, 500)),
            UpstreamUnavailable("auth.example.com", "cannot be reached"),
            Reply(200, b""),
            Reply(200, b"<html>", "text/html"),
            Reply(200, good, "text/html"),
            Reply(200, b'{"token": ["x"]}'),
            Reply(200, b'{"token": "x", "token": "y"}'),
            Reply(200, good + b" " * MAX_ANSWER),
            Reply(200, b"\xff", "application/jwt"),
        ):
            self.make()
            self.web.answers[URL] = reply
            self.assert_unavailable()
            self.assertTrue(not isinstance(reply, Reply) or reply.closed)
        self.assertEqual({url for _, url in self.web.asked}, {URL})

    def test_bad_tokens(self) -> None:
        """A token that is not to be believed is no answer, and never a yes or a no."""
        for changes in (
            {"exp": int(NOW)},
            {"iss": "https://evil.example"},
            {"aud": "other"},
            {"name": "b", "headers": {"kid": "a"}},
            {"sub": "bob"},
            {"sub": "Alice"},
            {"sub": None},
            {"access": "x"},
        ):
            self.make()
            self.web.answers[URL] = issued(**changes)
            self.assert_unavailable()

    def test_names(self) -> None:
        """How a token's name has to be the one that has logged in."""
        self.web.answers[URL] = issued(sub="Alice")
        self.make(evolve(SETTINGS, match_username="casefold"))
        self.assertEqual(self.accepted("aLICE").principal.name, "Alice")
        self.make(evolve(SETTINGS, match_username="off"))
        self.assertEqual(self.accepted("a@example.com").principal.name, "Alice")
        self.web.answers[URL] = issued(sub=None)
        self.make(evolve(SETTINGS, match_username="off"))
        self.assertEqual(self.accepted("a@example.com").principal.name, "a@example.com")

    def test_local_names(self) -> None:
        """Nobody becomes a user of this server's own by another spelling of the name."""
        self.locals.add("alice")
        self.web.answers[URL] = issued()
        for rule in ("casefold", "off"):
            self.make(evolve(SETTINGS, match_username=rule))
            self.assert_unavailable("ALICE")

    def test_access(self) -> None:
        """A claim `access` narrows, also what is known of the user by a token of ours."""
        self.web.answers[URL] = issued(access=[{"type": "repository", "name": "a", "actions": ["pull"]}])
        found = self.accepted()

        for cap in (found, self.backend.narrows(evolve(found, cap=None))):
            assert cap is not None
            self.assertTrue(cap.covers(oci("a", Action.PULL)))
            self.assertFalse(cap.covers(oci("a", Action.PUSH)))

    def test_trusted(self) -> None:
        """It allows something by itself only if it is trusted with that; that is so for a token of ours, too."""
        self.web.answers[URL] = issued(access=[{"type": "repository", "name": "a", "actions": ["pull"]}])
        found = self.accepted()
        self.assertIsNone(found.principal.granted)
        self.assertIsNone(self.backend.widens(found))

        self.make(evolve(SETTINGS, trust_access=True))
        found = self.accepted()

        source: object = self.backend
        self.assertIsInstance(source, Widening)
        for granted in (found.principal.granted, self.backend.widens(found)):
            assert granted is not None
            self.assertTrue(granted.covers(oci("a", Action.PULL)))
            self.assertFalse(granted.covers(oci("a", Action.PUSH)))
        assert found.cap is not None
        self.assertFalse(found.cap.covers(oci("b", Action.PULL)))

    def test_trusted_without_access(self) -> None:
        """A token without the claim is neither narrowed nor allowed anything."""
        self.make(evolve(SETTINGS, trust_access=True))
        found = self.accepted()

        self.assertEqual((found.cap, found.principal.granted, self.backend.widens(found)), (None, None, None))

    def test_others(self) -> None:
        """What another has vouched for is none of its."""
        self.assertFalse(self.backend.is_current(evolve(self.accepted(), via="api:other")))


class MemoryTests(BackEndCase):
    """What is asked only once."""

    def test_remembered(self) -> None:
        """A yes is good for a while, for exactly these two words; then it is asked again."""
        self.accepted()
        self.web.answers[URL] = UpstreamUnavailable("auth.example.com", "cannot be reached")
        self.clock.advance(59)
        self.accepted()
        self.assertIsInstance(self.backend.remembered("alice", "right"), Identity)
        self.assertIsNone(self.backend.remembered("alice", "wrong"))
        self.failureResultOf(self.begin("alice", "wrong"), AuthUnavailable)
        self.failureResultOf(self.begin("bob", "right"), AuthUnavailable)
        self.clock.advance(2)
        self.assert_unavailable()

    def test_what_was_asked(self) -> None:
        """Where the answer may depend on what was asked for, it is good for that alone: a yes, a no, and a flight."""
        self.make(question=Question(URL, service="x", tells_scopes=True))
        self.web.answers[URL] = issued(access=[{"type": "repository", "name": "a", "actions": ["pull"]}])
        a, b = ["repository:a:pull"], ["repository:b:pull"]
        self.accepted(asked=a)
        self.assertIsInstance(self.backend.remembered("alice", "right", parse_scopes(a)), Identity)
        for other in (b, [], [*a, *b], ["repository:a:pull,push"]):
            self.assertIsNone(self.backend.remembered("alice", "right", parse_scopes(other)))

        self.web.answers[URL] = Reply(403)
        self.assertIs(self.check(asked=b), Verdict.UNKNOWN)
        self.assertEqual(self.accepted(asked=a).principal.name, "alice")
        self.assertEqual(len(self.web.asked), 2)

        self.clock.advance(SETTINGS.cache_ttl)
        self.web.answers[URL] = Deferred
        self.begin(asked=a)
        self.begin(asked=b)
        self.begin(asked=b)
        self.assertEqual(len(self.web.asked), 4)

    def test_what_was_not_told(self) -> None:
        """Where it isn't told what is asked for, one answer is good for everything."""
        self.accepted(asked=["repository:a:pull"])
        self.accepted(asked=["repository:b:push"])

        self.assertEqual(len(self.web.asked), 1)

    def test_token_ends(self) -> None:
        """It is not good beyond the token, less a margin."""
        self.web.answers[URL] = issued(exp=int(NOW) + 40)
        self.accepted()
        self.clock.advance(9)
        self.assertIsInstance(self.backend.remembered("alice", "right"), Identity)
        self.clock.advance(2)
        self.assertIsNone(self.backend.remembered("alice", "right"))

    def test_refusal(self) -> None:
        """A no is remembered for some seconds only."""
        self.web.answers[URL] = Reply(401)
        self.check()
        self.web.answers[URL] = issued()
        self.assertIs(self.check(), Verdict.UNKNOWN)
        self.clock.advance(REFUSED_SECONDS)
        self.accepted()
        self.assertEqual(len(self.web.asked), 2)

    def test_no_answer_is_not_remembered(self) -> None:
        """Who got none is asked about again."""
        self.web.answers[URL] = Reply(404)
        self.assert_unavailable()
        self.web.answers[URL] = issued()
        self.accepted()

    def test_forget(self) -> None:
        """Everything is forgotten at once."""
        self.accepted()
        self.backend.forget()
        self.accepted()
        self.assertEqual(len(self.web.asked), 2)

    def test_off(self) -> None:
        """Nothing is remembered where that is configured."""
        self.make(evolve(SETTINGS, cache_ttl=0))
        self.accepted()
        self.accepted()
        self.assertEqual(len(self.web.asked), 2)

    def test_bounded(self) -> None:
        """So many answers are kept, the latest; keys of different words differ."""
        memory = Remembered(60, self.clock.seconds)
        keys = [memory.key("a", str(number)) for number in range(MAX_ENTRIES + 1)]
        for key in keys:
            memory.refuse(key)

        self.assertIs(memory.find(keys[0]), True)
        self.assertIs(memory.find(keys[-1]), False)
        self.assertNotEqual(memory.key("a", "b:c"), memory.key("a:b", "c"))
        self.assertNotEqual(memory.key("ab", "c"), memory.key("a", "bc"))
        self.assertNotEqual(memory.key("a", "b", ["c"]), memory.key("a", "bc"))
        self.assertNotEqual(memory.key("a", "b", ["c", "d"]), memory.key("a", "b", ["cd"]))
        self.assertNotEqual(memory.key("a", "b", [""]), memory.key("a", "b"))
        self.assertNotEqual(memory.key("a", "b"), Remembered(60, self.clock.seconds).key("a", "b"))

    def test_clock_set_back(self) -> None:
        """A clock that has been set back makes nothing good for longer."""
        self.accepted()
        self.clock.rightNow -= 1000
        self.assertIsNone(self.backend.remembered("alice", "right"))


class LoadTests(BackEndCase):
    """How much it is asked."""

    def test_shared(self) -> None:
        """All who ask the same wait for one answer; who leaves takes nothing with him."""
        waiting = self.hold()
        asking = [self.begin() for _ in range(3)]
        asking[0].cancel()
        self.failureResultOf(asking[0])
        waiting[0].callback(issued())

        self.assertEqual(len(waiting), 1)
        for one in asking[1:]:
            self.assertIsInstance(self.successResultOf(one), Identity)

    def test_places(self) -> None:
        """So many questions at a time; the others wait for a place, no longer than for an answer."""
        waiting = self.hold()
        asking = [self.begin("alice", f"{number}") for number in range(MAX_CALLS + 2)]
        self.assertEqual(len(waiting), MAX_CALLS)
        waiting[0].callback(Reply(401))
        self.assertEqual(len(waiting), MAX_CALLS + 1)
        self.assertIs(self.successResultOf(asking[0]), Verdict.UNKNOWN)

        self.clock.advance(SETTINGS.timeout)
        for one in asking[1:]:
            self.failureResultOf(one, AuthUnavailable)
        self.clock.advance(OPEN_SECONDS)
        self.web.answers[URL] = issued(now=self.clock.seconds())
        self.accepted()

    def test_breaker(self) -> None:
        """After failures in a row it is left alone; then one question tries, and an answer ends it."""
        self.web.answers[URL] = UpstreamUnavailable("auth.example.com", "cannot be reached")
        for _ in range(FAILURES + 3):
            self.assert_unavailable()
        self.assertEqual(len(self.web.asked), FAILURES)

        self.clock.advance(OPEN_SECONDS)
        waiting = self.hold()
        probe = self.begin()
        self.failureResultOf(self.begin("bob"), AuthUnavailable)
        waiting[0].callback(issued(now=self.clock.seconds()))
        self.assertIsInstance(self.successResultOf(probe), Identity)
        self.web.answers[URL] = Reply(401)
        self.assertIs(self.check("bob"), Verdict.UNKNOWN)

    def test_slow_probe(self) -> None:
        """A question that ends by its time counts as a failure, also the one that tries."""
        waiting = self.hold()
        for _ in range(FAILURES):
            asking = self.begin()
            self.clock.advance(SETTINGS.timeout)
            self.failureResultOf(asking, AuthUnavailable)
        self.assert_unavailable()
        self.assertEqual(len(waiting), FAILURES)

    def test_users_open_nothing(self) -> None:
        """An answer that makes no sense is about one user, perhaps; nobody shuts out others by it."""
        self.web.answers[URL] = issued(sub="mallory")
        for _ in range(FAILURES + 1):
            self.assert_unavailable()
        self.web.answers[URL] = issued()
        self.accepted()

    def test_cancelled(self) -> None:
        """The one who asks may leave at any time; the answer is remembered all the same."""
        waiting = self.hold()
        asking = self.begin()
        asking.cancel()
        self.failureResultOf(asking)
        waiting[0].callback(issued())

        self.assertIsInstance(self.backend.remembered("alice", "right"), Identity)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ToldTests(BackEndCase):
    """What is told of questions, for the metrics."""

    def test_results(self) -> None:
        """Each question that goes out is told of, by what became of it; what is remembered is no question."""
        self.accepted()
        self.accepted()
        self.web.answers[URL] = Reply(401)
        self.check("bob")
        self.web.answers[URL] = Reply(500)
        self.assert_unavailable("carol")
        self.assertEqual([result for result, _ in self.told], ["ok", "rejected", "unavailable"])

    def test_seconds(self) -> None:
        """How long it took, also of one that never ends."""
        waiting = self.hold()
        answered, unanswered = self.begin(), self.begin("bob")
        self.clock.advance(2)
        waiting[0].callback(issued())
        self.successResultOf(answered)
        self.clock.advance(SETTINGS.timeout)
        self.failureResultOf(unanswered, AuthUnavailable)
        self.assertEqual(self.told, [("ok", 2), ("unavailable", SETTINGS.timeout + 2)])
