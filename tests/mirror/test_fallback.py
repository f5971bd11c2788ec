"""Names that name no upstream: whose word settles what they stand for, for good."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from pkgd.errors import (
    Denied,
    FailedStorage,
    LoopDetected,
    NotReady,
    UnknownBlob,
    UnknownManifest,
    UnknownName,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.fallback import Fallback
from tests.mirror.upstream_fixtures import UpstreamCase

HUB, KUBERNETES, GITHUB = (
    Origin(host, RepositoryName("team/app")) for host in ("docker.io", "registry.k8s.io", "ghcr.io")
)
ORIGINS = [HUB, KUBERNETES, GITHUB]

NOT_HERE = UnknownManifest("1.0")
DENIED = UpstreamRefused("docker.io", "denies access")
INDEFINITE = UpstreamRefused("docker.io", "does not accept the configured credentials", definite=False)


class _Cache:
    """Remembers what `MirrorCache` does of the fallback list."""

    def __init__(self) -> None:
        self.marked: list[Origin] = []
        self.failure: Exception | None = None

    async def is_fallback(self, origin: Origin) -> bool:
        """See `MirrorCache.is_fallback`."""
        return origin in self.marked

    async def mark_fallback(self, origin: Origin) -> None:
        """See `MirrorCache.mark_fallback`."""
        if self.failure is not None:
            raise self.failure
        self.marked.append(origin)


class FallbackTests(UpstreamCase):
    """`Fallback`."""

    def setUp(self) -> None:
        """Nothing has been resolved yet."""
        super().setUp()
        cache: Any = _Cache()
        self.cache: _Cache = cache
        self.fallback = Fallback(cache)
        self.asked: list[Origin] = []

    def resolve(self, *outcomes: Any, decides: bool = True) -> Deferred[Any]:
        """Ask for the name; the upstreams say so, one after the other."""
        self.asked.clear()
        answers = dict(zip(ORIGINS, outcomes, strict=False))

        async def ask(origin: Origin) -> Any:
            self.asked.append(origin)
            outcome = answers[origin]
            if isinstance(outcome, Exception):
                raise outcome
            return outcome

        return self.begin(self.fallback.resolve(ORIGINS, ask, decides))

    def assert_stops(self, error: Exception, *outcomes: Any) -> None:
        """With these outcomes it ends in the last of them, and nothing is settled."""
        self.assertIs(self.failureResultOf(self.resolve(*outcomes)).value, error)
        self.assertEqual(self.asked, ORIGINS[: len(outcomes)])
        self.assertEqual(self.cache.marked, [])

    def test_first_that_has_it(self) -> None:
        """The first upstream that has it is what the name stands for, and the others are not asked."""
        self.assertEqual(self.successResultOf(self.resolve("at hub", "at k8s", "at github")), "at hub")

        self.assertEqual(self.asked, [HUB])
        self.assertEqual(self.cache.marked, [HUB])

    def test_not_here(self) -> None:
        """Who definitely does not have it, or not for us, leads on to the next one."""
        for said in [NOT_HERE, UnknownBlob("x"), UnknownName("x"), DENIED]:
            self.cache.marked.clear()
            self.assertEqual(self.successResultOf(self.resolve(said, said, "at github")), "at github")
            self.assertEqual(self.asked, ORIGINS)
            self.assertEqual(self.cache.marked, [GITHUB])

    def test_settled(self) -> None:
        """From then on it is the same one, also if the name appears at one before it."""
        self.successResultOf(self.resolve(NOT_HERE, "at k8s"))

        self.assertEqual(self.successResultOf(self.resolve("squatted", "at k8s again", "squatted")), "at k8s again")

        self.assertEqual(self.asked, [KUBERNETES])
        self.assertEqual(self.cache.marked, [KUBERNETES])

    def test_settled_and_gone(self) -> None:
        """What it no longer has is not looked for elsewhere: there it would be somebody else's."""
        self.cache.marked.append(KUBERNETES)
        for said in [NOT_HERE, DENIED, UpstreamTimeout("registry.k8s.io", "waits")]:
            self.assertIs(self.failureResultOf(self.resolve("squatted", said, "squatted")).value, said)
            self.assertEqual(self.asked, [KUBERNETES])

    def test_nobody_can_tell(self) -> None:
        """A failure proves nothing: it never leads on, and nothing is settled."""
        for error in [
            UpstreamUnavailable("docker.io", "answers 503"),
            UpstreamTimeout("docker.io", "does not answer in time"),
            UpstreamCorrupt("docker.io", "sends something else"),
            UpstreamBusy("docker.io", "wants no more", 5.0),
            LoopDetected("docker.io"),
            NotReady(),
            FailedStorage("read"),
        ]:
            self.assert_stops(error, error)
            self.assert_stops(error, NOT_HERE, error)

    def test_denial_for_want_of_credentials(self) -> None:
        """Nor does a denial that says nothing of the repository: an expired password opens no door to others."""
        self.assert_stops(INDEFINITE, INDEFINITE)
        self.assert_stops(INDEFINITE, NOT_HERE, INDEFINITE)

    def test_our_own_denial(self) -> None:
        """Who may not read what the first one has does not get it from the next one."""
        error = Denied("pull mirror:docker.io/team/app")

        self.assert_stops(error, error)

    def test_nowhere(self) -> None:
        """If nobody has it, "not here" is said, if anybody says so; else that it is denied."""
        for outcomes, said in [
            ((NOT_HERE, NOT_HERE, NOT_HERE), NOT_HERE),
            ((DENIED, NOT_HERE, DENIED), NOT_HERE),
            ((NOT_HERE, DENIED, DENIED), NOT_HERE),
            ((DENIED, DENIED, NOT_HERE), NOT_HERE),
            ((DENIED, DENIED, DENIED), DENIED),
        ]:
            self.assert_stops(said, *outcomes)

    def test_answers_that_prove_nothing(self) -> None:
        """An empty list is an answer, and does not show that there is such a repository."""
        self.assertEqual(self.successResultOf(self.resolve([], decides=False)), [])
        self.assertEqual(self.cache.marked, [])

        self.assertEqual(self.successResultOf(self.resolve(NOT_HERE, "at k8s")), "at k8s")

        self.assertEqual(self.cache.marked, [KUBERNETES])

    def test_nothing_can_be_written_down(self) -> None:
        """The answer is given all the same, and the operator told."""
        self.cache.failure = FailedStorage("put")

        self.assertEqual(self.successResultOf(self.resolve("at hub")), "at hub")

        self.assertIn("that cannot be written down: the storage reported a failure", self.lines)

    def test_log(self) -> None:
        """What a name is resolved to is said once, when it is."""
        for _ in range(3):
            self.successResultOf(self.resolve(NOT_HERE, "at k8s"))

        self.assertEqual(
            self.lines,
            ["pulls of team/app without an upstream's name are resolved to registry.k8s.io/team/app"],
        )

    def test_knows(self) -> None:
        """Whether a name has been resolved can be told without asking anybody."""
        self.assertFalse(self.do(self.fallback.knows(ORIGINS)))

        self.cache.marked.append(GITHUB)

        self.assertTrue(self.do(self.fallback.knows(ORIGINS)))
        self.assertFalse(self.do(self.fallback.knows([HUB, KUBERNETES])))
