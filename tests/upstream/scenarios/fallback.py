"""Pulls that name no upstream: hosted first, then the fallback list, of which the first definite answer counts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from tests.upstream.bench import (
    Bench,
    Case,
    blob_path,
    expect,
    host_of,
    manifest_path,
    pull_right,
    push,
    refused,
)
from tests.upstream.content import TAG, Image, image
from tests.upstream.exchange import Misbehaviour, Part
from tests.upstream.faults import heads
from tests.upstream.faults.statuses import answered
from tests.upstream.mirror import Mirror
from tests.upstream.scripted import Upstream

_ONLY_SECOND = ("absent", "remembered", "restarted", "denied", "slow", "failing", "cut", "private/app", "hosted")
_BOTH = ("both",)


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """A mirror with two fallback hosts. Most repositories are only at the second."""
    small = image(5, (3, 500))
    other = image(6, (3, 500))
    first = bench.upstream(**{name: other.shelf() for name in _BOTH})
    second = bench.upstream(**{name: small.shelf() for name in (*_ONLY_SECOND, *_BOTH)})
    settings = {
        "registries": bench.registries(first=first, second=second),
        "fallback": [host_of("first"), host_of("second")],
        "reserved": ["private/**"],
    }
    async with first, second, bench.mirror(settings, "fallback") as mirror:
        for case in Fallback(mirror, first, second, small, other).cases():
            yield case


class Fallback:
    """The cases; each has a repository of its own."""

    def __init__(self, mirror: Mirror, first: Upstream, second: Upstream, at_second: Image, other: Image) -> None:
        self._mirror = mirror
        self._first = first
        self._second = second
        self._image = at_second
        self._other = other

    def cases(self) -> Sequence[Case]:
        """All of them."""
        stall = next(one.how for one in heads.FAULTS if one.name == "stall before the head")
        reset = next(one.how for one in heads.FAULTS if one.name == "reset before the head")
        assert stall is not None
        assert reset is not None
        return (
            Case("404 at the first: the second's", self._absent),
            Case("both have it: the first's", self._both),
            Case("the winner is remembered", self._remembered),
            Case("the winner is remembered after a restart", self._restarted),
            Case("401 at the first: the second's", self._denied),
            Case("a time-out at the first decides nothing", lambda: self._undecided("slow", stall, 504)),
            Case("a server error at the first decides nothing", lambda: self._undecided("failing", answered(500), 502)),
            Case("a reset at the first decides nothing", lambda: self._undecided("cut", reset, 502)),
            Case("a reserved name is not looked for", self._reserved),
            Case("a hosted repository comes first", self._hosted),
            Case("nobody has it: 404", self._nowhere),
        )

    async def _pull(self, name: str, which: Image | None = None, winner: str = "second") -> None:
        which = which or self._image
        answer = await pull_right(self._mirror, manifest_path(TAG, repository=name), which.index.data)
        expect("OCI-Namespace", answer.value("oci-namespace"), host_of(winner))
        await pull_right(self._mirror, blob_path(which.strong, repository=name), which.layers[1])

    async def _absent(self) -> None:
        await self._pull("absent")

    async def _both(self) -> None:
        await self._pull("both", self._other, "first")

    async def _remembered(self) -> None:
        await self._pull("remembered")
        self._first.shelves["remembered"] = self._other.shelf()
        self._first.forget()
        await self._pull("remembered")
        expect("requests at the first", [str(one) for one in self._first.requests], [])

    async def _restarted(self) -> None:
        await self._pull("restarted")
        self._first.shelves["restarted"] = self._other.shelf()
        expect("exit status", await asyncio.to_thread(self._mirror.stop), 0)
        await asyncio.to_thread(self._mirror.start)
        await self._pull("restarted")

    async def _denied(self) -> None:
        self._first.misbehave(answered(401))
        try:
            await self._pull("denied")
        finally:
            self._first.misbehave(None)

    async def _undecided(self, name: str, how: Misbehaviour, status: int) -> None:
        self._first.misbehave(how)
        self._second.forget()
        try:
            await refused(self._mirror, manifest_path(TAG, repository=name), status, "UNAVAILABLE")
            await refused(self._mirror, blob_path(self._image.strong, repository=name), status, "UNAVAILABLE")
        finally:
            self._first.misbehave(None, *Part)
        expect("requests at the second", [str(one) for one in self._second.requests], [])
        await self._pull(name)

    async def _reserved(self) -> None:
        self._first.forget()
        self._second.forget()
        await refused(self._mirror, manifest_path(TAG, repository="private/app"), 404)
        expect("requests at either", len(self._first.requests) + len(self._second.requests), 0)

    async def _hosted(self) -> None:
        await push(self._mirror, "hosted", TAG, self._other)
        self._second.forget()
        await pull_right(self._mirror, manifest_path(TAG, repository="hosted"), self._other.index.data)
        await refused(self._mirror, manifest_path("other", repository="hosted"), 404, "MANIFEST_UNKNOWN")
        expect("requests at the second", [str(one) for one in self._second.requests], [])

    async def _nowhere(self) -> None:
        await refused(self._mirror, manifest_path(TAG, repository="nowhere/at/all"), 404)
