"""Which endpoints a host has, in which order they are asked, and whose word counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from pkgd.errors import (
    LoopDetected,
    NoSpace,
    NotReady,
    UnknownName,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)
from pkgd.formats.names import Origin, RepositoryName
from pkgd.mirror.upstreams import MAX_HOSTS, Upstreams
from tests.mirror.upstream_fixtures import UpstreamCase

ORIGIN = Origin("docker.io", RepositoryName("library/alpine"))
# What an endpoint may say that is no answer; the next one may know better.
CANNOT_TELL: list[Exception] = [
    UpstreamUnavailable("x", "fails"),
    UpstreamTimeout("x", "waits"),
    UpstreamCorrupt("x", "lies"),
    UpstreamRefused("x", "denies access"),
    UpstreamBusy("x", "wants no more", 5.0),
    LoopDetected("x"),
]


class _Upstream:
    """An endpoint: who it is, and whether anybody waits for it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.is_idle = True
        self.closing: Deferred[None] | None = None
        self.closed = False

    async def close(self) -> None:
        """See `Upstream.close`."""
        if self.closing is not None:
            await self.closing
        self.closed = True


class Case(UpstreamCase):
    """Endpoints that are made as they are needed."""

    def setUp(self) -> None:
        """None has been made yet."""
        super().setUp()
        self.made: list[_Upstream] = []
        self.upstreams = self.with_parents()

    def with_parents(self, *parents: str, **more: bool) -> Upstreams:
        """Hosts behind these parent mirrors."""
        mirrors: list[Any] = [_Upstream(host) for host in parents]
        self.made += mirrors
        return Upstreams(mirrors, self.make, **more)

    def make(self, host: str) -> Any:
        """Make a host's endpoint."""
        self.made.append(_Upstream(host))
        return self.made[-1]

    def hosts(self, host: str) -> list[str]:
        """The names of a host's endpoints."""
        return [one.host for one in self.upstreams.of(host)]


class OfTests(Case):
    """`Upstreams.of`."""

    def test_host_itself(self) -> None:
        """Without parent mirrors a host has one endpoint, which is made when it is first needed."""
        self.assertEqual(self.made, [])

        self.assertEqual(self.hosts("docker.io"), ["docker.io"])

        self.assertIs(self.upstreams.of("docker.io")[0], self.made[0])
        self.assertEqual(self.hosts("quay.io"), ["quay.io"])
        self.assertEqual(len(self.made), 2)

    def test_parents_first(self) -> None:
        """Parent mirrors come first, in their order, whatever the host."""
        self.upstreams = self.with_parents("near", "far")

        self.assertEqual(self.hosts("docker.io"), ["near", "far", "docker.io"])
        self.assertEqual(self.hosts("quay.io"), ["near", "far", "quay.io"])

    def test_parents_only(self) -> None:
        """Where hosts may not be asked themselves, there are the parents, and nothing else is even made."""
        self.upstreams = self.with_parents("near", direct=False)

        self.assertEqual(self.hosts("docker.io"), ["near"])
        self.assertEqual(len(self.made), 1)

    def test_bounded(self) -> None:
        """Clients may name any number of hosts: of too many, the one that was asked longest ago is closed."""
        for number in range(MAX_HOSTS):
            self.upstreams.of(f"h{number}.com")
        self.upstreams.of("h0.com")

        self.upstreams.of("one.more")

        self.assertEqual([one.host for one in self.made if one.closed], ["h1.com"])
        self.assertIs(self.upstreams.of("h0.com")[0], self.made[0])
        self.assertEqual(len(self.upstreams._hosts), MAX_HOSTS)

    def test_no_one_is_cut_off(self) -> None:
        """Whom somebody is waiting for is not closed, however long ago it was asked."""
        for number in range(MAX_HOSTS):
            self.upstreams.of(f"h{number}.com")
        for one in self.made[:3]:
            one.is_idle = False

        self.upstreams.of("one.more")

        self.assertEqual([one.host for one in self.made if one.closed], ["h3.com"])

    def test_all_are_busy(self) -> None:
        """If all are, there is one more for a while, and it is usable."""
        for number in range(MAX_HOSTS):
            self.upstreams.of(f"h{number}.com")
        for one in self.made:
            one.is_idle = False

        self.assertEqual(self.hosts("one.more"), ["one.more"])

        self.assertEqual([one.host for one in self.made if one.closed], [])

    def test_parents_stay(self) -> None:
        """Parent mirrors are not among those that are closed."""
        self.upstreams = self.with_parents("near")
        for number in range(MAX_HOSTS + 1):
            self.upstreams.of(f"h{number}.com")

        self.assertEqual([one.host for one in self.made if one.closed], ["h0.com"])

    def test_made_anew(self) -> None:
        """A host that was closed is made anew when it is asked again."""
        for number in range(MAX_HOSTS + 1):
            self.upstreams.of(f"h{number}.com")

        self.assertIs(self.upstreams.of("h0.com")[0], self.made[-1])
        self.assertFalse(self.made[-1].closed)


class FirstTests(Case):
    """`Upstreams.first`: what a parent doesn't have or cannot tell, its successor may; the last one's word counts."""

    def ask(self, *outcomes: Any, direct: bool = True) -> Deferred[Any]:
        """Ask as many endpoints as there are outcomes, the last of which is the host itself."""
        parents = [f"parent{number}" for number in range(len(outcomes) - direct)]
        self.upstreams = self.with_parents(*parents, direct=direct)
        self.asked: list[str] = []
        left = list(outcomes)

        async def one(upstream: Any) -> Any:
            self.asked.append(upstream.host)
            outcome = left.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return await outcome if isinstance(outcome, Deferred) else outcome

        return self.begin(self.upstreams.first(ORIGIN, one))

    def assert_found(self, expected: Any, outcomes: Sequence[Any], asked: Sequence[str]) -> None:
        """These outcomes lead to this answer, having asked these."""
        self.assertEqual(self.successResultOf(self.ask(*outcomes)), expected)
        self.assertEqual(self.asked, list(asked))

    def test_first_that_has_it(self) -> None:
        """Nobody is asked behind the one that has it."""
        self.assert_found("here", ["here"], ["docker.io"])
        self.assert_found("here", ["here", "there"], ["parent0"])
        self.assert_found("", ["", "there"], ["parent0"])

    def test_not_there(self) -> None:
        """Who does not have it leads to the next one; if nobody has it, it is not there."""
        self.assert_found("there", [None, "there"], ["parent0", "docker.io"])
        self.assert_found(None, [None, None], ["parent0", "docker.io"])
        self.assert_found(None, [None], ["docker.io"])

    def test_cannot_tell(self) -> None:
        """Who cannot tell leads to the next one, for whatever reason."""
        for error in CANNOT_TELL:
            self.assert_found("there", [error, "there"], ["parent0", "docker.io"])
            self.assert_found("there", [error, error, "there"], ["parent0", "parent1", "docker.io"])

    def test_last_cannot_tell(self) -> None:
        """If the last one cannot tell, nobody can, also if those before it do not have it."""
        for error in CANNOT_TELL:
            befores: list[list[Any]] = [[], [None], [UpstreamUnavailable("y", "fails")]]
            for before in befores:
                asking = self.ask(*before, error)
                self.assertIs(self.failureResultOf(asking).value, error)

    def test_last_does_not_have_it(self) -> None:
        """If the last one knows that it is not there, it is not, also if a parent could not tell."""
        for error in CANNOT_TELL:
            self.assert_found(None, [error, None], ["parent0", "docker.io"])

    def test_parents_only(self) -> None:
        """Where only parents may be asked, the last of them has the last word."""
        loop = LoopDetected("parent0")
        self.assertIs(self.failureResultOf(self.ask(loop, direct=False), LoopDetected).value, loop)
        self.assertIsNone(self.successResultOf(self.ask(UpstreamUnavailable("x", "?"), None, direct=False)))
        self.assertEqual(self.asked, ["parent0", "parent1"])

    def test_nobody_to_ask(self) -> None:
        """Where nobody may be asked, nothing is known."""
        self.failureResultOf(self.ask(direct=False), UnknownName)

    def test_our_own_trouble(self) -> None:
        """What is not the endpoint's fault does not get better by asking another one."""
        for error in [NoSpace("cache"), NotReady(), ZeroDivisionError()]:
            self.assertIs(self.failureResultOf(self.ask(error, "there")).value, error)
            self.assertEqual(self.asked, ["parent0"])

    def test_one_after_the_other(self) -> None:
        """The next one is asked when the one before it has answered."""
        later: Deferred[None] = Deferred()
        asking = self.ask(later, "there")
        self.assertEqual(self.asked, ["parent0"])

        later.callback(None)

        self.assertEqual(self.successResultOf(asking), "there")

    def test_log(self) -> None:
        """Each failure is a line, that says who has failed and how."""
        self.successResultOf(self.ask(UpstreamUnavailable("parent0", "answers 503"), "there"))

        self.assertEqual(self.lines, ["parent0 for docker.io/library/alpine: the upstream parent0 answers 503"])


class CloseTests(Case):
    """`Upstreams.close`."""

    def test_all(self) -> None:
        """All endpoints are closed, parents too."""
        self.upstreams = self.with_parents("near")
        self.upstreams.of("docker.io")
        self.upstreams.of("quay.io")

        self.do(self.upstreams.close())

        self.assertEqual([one.closed for one in self.made], [True] * 3)

    def test_those_that_were_too_many(self) -> None:
        """The end waits for what is being closed already."""
        self.upstreams.of("slow.com")
        self.made[0].closing = Deferred()
        for number in range(MAX_HOSTS):
            self.upstreams.of(f"h{number}.com")
        closing = self.begin(self.upstreams.close())
        self.assertNoResult(closing)

        self.made[0].closing.callback(None)

        self.successResultOf(closing)
        self.assertTrue(self.made[0].closed)

    def test_failure(self) -> None:
        """A closing that fails is logged, and nobody's request fails for it."""
        self.upstreams.of("odd.com")
        self.made[0].closing = Deferred()
        for number in range(MAX_HOSTS):
            self.upstreams.of(f"h{number}.com")

        self.made[0].closing.errback(ZeroDivisionError())

        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
