"""Keys that are asked for: when they are, and what counts while nobody answers."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.jwk import KeySet, parse_jwks
from pkgd.auth.jwks import MAX_AGE, MAX_STALE, MIN_AGE, PAUSE, Published, RemoteKeys
from pkgd.errors import AuthUnavailable, UpstreamUnavailable
from tests.auth.issuing import NOW, jwk, jwks

T = TypeVar("T")


class RemoteKeysTests(SynchronousTestCase):
    """One issuer. `answer` is what it answers next, `asked` counts."""

    def setUp(self) -> None:
        """It has a key `a`."""
        self.clock = Clock()
        self.clock.advance(NOW)
        self.asked = 0
        self.old, self.new = (parse_jwks(jwks(jwk("EdDSA", name))) for name in "ab")
        self.answer: Any = succeed(Published(self.old))
        self.remote = RemoteKeys("idp", self.ask, self.clock.seconds)

    def ask(self) -> Awaitable[Published]:
        """The issuer is asked."""
        self.asked += 1
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: Awaitable[Published] = self.answer
        return answer

    def says(self, answer: Published | Exception | Deferred[Published]) -> None:
        """What it answers from now on."""
        self.answer = answer if isinstance(answer, Exception | Deferred) else _Always(answer)

    def keys(self) -> KeySet | None:
        """Those that are used."""
        return self.successResultOf(Deferred.fromCoroutine(self.remote.keys()))

    def newer(self, kid: str | None = "b") -> KeySet | None:
        """Those that may have a key."""
        return self.successResultOf(Deferred.fromCoroutine(self.remote.newer(self.old, kid)))

    def assert_unknown(self) -> None:
        """No keys are known."""
        self.failureResultOf(Deferred.fromCoroutine(self.remote.keys()), AuthUnavailable)

    def test_kept(self) -> None:
        """They are kept as long as the issuer says, within bounds."""
        for stated, kept in ((None, MIN_AGE), (0.0, MIN_AGE), (1000.0, 1000.0), (1e9, MAX_AGE)):
            self.says(Published(self.old, stated))
            remote = self.remote = RemoteKeys("idp", self.ask, self.clock.seconds)
            self.asked = 0
            self.keys()
            self.clock.advance(kept - 1)
            self.assertIs(self.keys(), self.old)
            self.assertEqual(self.asked, 1)
            self.clock.advance(2)
            self.keys()
            self.assertEqual((self.asked, self.remote), (2, remote))

    def test_shared(self) -> None:
        """Who comes while they are asked for waits for the same answer; who leaves takes nothing with him."""
        waiting: Deferred[Published] = Deferred()
        self.says(waiting)
        asking = [Deferred.fromCoroutine(self.remote.keys()) for _ in range(3)]
        asking[0].cancel()
        self.failureResultOf(asking[0])
        waiting.callback(Published(self.old))

        self.assertEqual([self.successResultOf(one) for one in asking[1:]], [self.old] * 2)
        self.assertEqual(self.asked, 1)

    def test_rotation(self) -> None:
        """A key that isn't known has them asked for again, once in half a minute."""
        self.says(Published(self.old))
        self.keys()
        self.says(Published(self.new))

        self.assertIsNone(self.newer())
        self.clock.advance(PAUSE)
        self.assertIs(self.newer(), self.new)
        self.assertEqual(self.asked, 2)

    def test_flood(self) -> None:
        """However many unknown keys are named, it is asked no more than twice a minute."""
        self.says(Published(self.old))
        self.keys()
        for second in range(600):
            for number in range(5):
                self.newer(f"{second}-{number}")
            self.clock.advance(0.1)

        self.assertLessEqual(self.asked, 3)

    def test_absent(self) -> None:
        """A name that the issuer was found not to have is not asked for again for a minute."""
        self.says(Published(self.old))
        self.keys()
        self.clock.advance(PAUSE)
        self.newer("z")
        self.clock.advance(PAUSE + 1)
        self.assertIsNone(self.newer("z"))
        self.assertEqual(self.asked, 2)

        self.clock.advance(PAUSE)
        self.newer("z")
        self.assertEqual(self.asked, 3)

    def test_failure(self) -> None:
        """Old keys are used for a day while nobody answers, then none."""
        self.says(Published(self.old))
        self.keys()
        self.says(UpstreamUnavailable("idp", "cannot be reached"))
        self.clock.advance(MAX_STALE - 1)
        self.assertIs(self.keys(), self.old)
        self.clock.advance(2)
        self.assert_unknown()

        self.clock.advance(PAUSE)
        self.says(Published(self.new))
        self.assertIs(self.keys(), self.new)

    def test_never_answered(self) -> None:
        """Without any answer there are no keys, and it is asked again after half a minute."""
        self.says(UpstreamUnavailable("idp", "cannot be reached"))
        for _ in range(5):
            self.assert_unknown()
        self.assertEqual(self.asked, 1)
        self.assertIn("cannot be reached", self.remote.failure)
        self.clock.advance(PAUSE)
        self.assert_unknown()
        self.assertEqual(self.asked, 2)

    def test_no_keys(self) -> None:
        """That there are none may change; that there were some does not."""
        self.says(Published(None))
        self.assertIsNone(self.keys())
        self.clock.advance(MIN_AGE)
        self.says(Published(self.old))
        self.assertIs(self.keys(), self.old)
        self.clock.advance(MIN_AGE)
        self.says(Published(None))
        self.assertIs(self.keys(), self.old)

    def test_expire(self) -> None:
        """They can be asked for anew at once, and stay if nobody answers."""
        self.says(Published(self.old))
        self.keys()
        self.remote.expire()
        self.says(UpstreamUnavailable("idp", "cannot be reached"))
        self.assertIs(self.keys(), self.old)
        self.assertEqual(self.asked, 2)

    def test_clock_set_back(self) -> None:
        """A clock that has been set back makes nothing younger."""
        self.says(Published(self.old))
        self.keys()
        self.clock.rightNow -= 10_000
        self.says(Published(self.new))

        self.assertIs(self.keys(), self.new)


class _Always:
    """Can be awaited again and again."""

    def __init__(self, result: Published) -> None:
        self._result = result

    def __await__(self) -> Any:
        return succeed(self._result).__await__()
