"""Nobody can make the mirror connect to where it has no business: not by any notation, at any entrance.

The entrances are `?ns=`, `X-Registry-Host`, the path, and what an upstream says in Location and in a token realm.
What is connected to is counted twice: by listeners on every kind of forbidden address, and by strace.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import quote

from tests.upstream import places
from tests.upstream.answers import failure
from tests.upstream.bench import Bench, Case, expect, host_of, manifest_path, pull, pull_right, require, wait_until
from tests.upstream.client import Answer
from tests.upstream.content import REPOSITORY, TAG
from tests.upstream.exchange import Exchange, Misbehaviour
from tests.upstream.faults.redirects import moved
from tests.upstream.mirror import Mirror, Options
from tests.upstream.notations import CORPUS, UNKNOWN
from tests.upstream.scripted import Upstream

_LEAST = 100
_REFUSED = (400, 404)
_NOWHERE = (502, 504)
_DENIED = (403, 502, 504)
_LURE = "lure-{number}"
_CONNECT = re.compile(
    r"connect\(\d+<TCP[^>]*>, \{sa_family=AF_INET6?, sin6?_port=htons\((?P<port>\d+)\),.*?"
    r'(?:inet_addr\("(?P<v4>[^"]+)"\)|inet_pton\(AF_INET6, "(?P<v6>[^"]+)")'
)


async def cases(bench: Bench) -> AsyncIterator[Case]:
    """A mirror under strace, and one upstream that points to whatever a request asks it to point to."""
    trace = bench.scratch / "connects"
    strace = ("strace", "-D", "-f", "-qq", "-yy", "-e", "trace=connect", "-o", str(trace))
    for number, address in enumerate(places.FORBIDDEN):
        bench.names.set(host_of(_LURE.format(number=number)), [address])
    async with bench.upstream() as upstream:
        sections = {host_of(f"{what}-{number}"): bench.section(upstream) for what, number in _pointers()}
        settings = {"registries": {**sections, host_of("honest"): bench.section(upstream)}, "fallback": []}
        async with bench.mirror(settings, "addresses", Options(wrapper=strace)) as mirror:
            addresses = Addresses(bench, mirror, upstream)
            for case in addresses.cases():
                yield case
        yield Case("strace has seen no other connects", lambda: addresses.traced(trace))


def _notations() -> list[str]:
    """The corpus, and names that resolve to forbidden addresses."""
    lures = [host_of(_LURE.format(number=number)) for number in range(len(places.FORBIDDEN))]
    return [*CORPUS, *lures, *(f"{one}:5000" for one in lures)]


def _pointers() -> list[tuple[str, int]]:
    """A host for everything that an upstream may say: one that has failed several times would be left alone."""
    return [(what, number) for what in _WAYS for number in range(len(_notations()))]


class Addresses:
    """The cases."""

    def __init__(self, bench: Bench, mirror: Mirror, upstream: Upstream) -> None:
        self._bench = bench
        self._mirror = mirror
        self._upstream = upstream

    def cases(self) -> Sequence[Case]:
        """All of them."""
        return (
            Case("the listeners count", self._counting),
            Case("the mirror works", self._honest),
            Case("?ns=", self._by_ns),
            Case("X-Registry-Host", self._by_header),
            Case("a host in the path", self._by_path),
            *(Case(what, partial(self._by_upstream, what)) for what in _WAYS),
            Case("a name that changes its address", self._rebinding),
            Case("a name with a good and a bad address", self._mixed),
            Case("a public name, by TLS on the usual port", self._public),
        )

    async def _counting(self) -> None:
        """So that nothing found means that nothing was there."""
        spots = self._bench.surroundings.spots
        require(f"{len(spots)} listeners", len(spots) >= _LEAST - 20)
        for address, port in spots:
            _, writer = await asyncio.open_connection(address, port)
            writer.transport.abort()
        await asyncio.sleep(0.1)
        expect("listeners that have counted", len(self._bench.surroundings.led_astray()), len(spots))

    async def _honest(self) -> None:
        require(f"{len(CORPUS)} notations", len(set(CORPUS)) >= _LEAST)
        await pull_right(self._mirror, manifest_path(TAG, host_of("honest")), self._bench.image.index.data)

    def _complaints(self, notation: str, answer: Answer, statuses: tuple[int, ...]) -> list[str]:
        """What is wrong with an answer to a notation, or with what came of it."""
        if notation.startswith("lure-") or notation in UNKNOWN:
            statuses = (*statuses, *_NOWHERE)
        complaints = [] if answer.status in statuses else [f"{notation!r} is answered with {answer.status}"]
        return complaints + [f"{notation!r} has led to {one}" for one in self._bench.surroundings.led_astray()]

    async def _by_ns(self) -> None:
        complaints = []
        for notation in _notations():
            target = f"/v2/{REPOSITORY}/manifests/{TAG}?ns={quote(notation, safe='')}"
            complaints += self._complaints(notation, await pull(self._mirror, target), _REFUSED)
            if notation and notation.isascii() and notation.isprintable() and " " not in notation:
                target = f"/v2/{REPOSITORY}/blobs/{self._bench.image.strong}?ns={notation}"
                complaints += self._complaints(notation, await pull(self._mirror, target), _REFUSED)
        expect("complaints", complaints, [])

    async def _by_header(self) -> None:
        complaints = []
        for notation in _notations():
            answer = await pull(self._mirror, manifest_path(), X_Registry_Host=_sent(notation))
            complaints += self._complaints(notation, answer, _REFUSED)
        expect("complaints", complaints, [])

    async def _by_path(self) -> None:
        complaints = []
        for notation in _notations():
            target = f"/v2/{quote(notation, safe=':[].-_')}/{REPOSITORY}/manifests/{TAG}"
            complaints += self._complaints(notation, await pull(self._mirror, target), _REFUSED)
        expect("complaints", complaints, [])

    async def _by_upstream(self, what: str) -> None:
        """What the upstream says is what the number in its name stands for."""
        complaints = []
        for number, notation in enumerate(_notations()):
            url = _WAYS[what].format(host=notation, path=f"/v2/{REPOSITORY}/manifests/{TAG}")
            self._upstream.misbehave(_realm(url) if what.startswith("realm") else _location(url))
            self._upstream.forget()
            answer = await pull(self._mirror, manifest_path(TAG, host_of(f"{what}-{number}")))
            require("the upstream was asked", self._upstream.requests)
            complaints += self._complaints(notation, answer, _DENIED if what.startswith("realm") else _NOWHERE)
        self._upstream.misbehave(None)
        expect("complaints", complaints, [])

    async def _rebinding(self) -> None:
        """The address that is checked is the one that is connected to."""
        host = host_of("rebinding")
        for turns in ([[places.PUBLIC], [places.PRIVATE]], [[places.PRIVATE], [places.PUBLIC]]):
            self._bench.names.set(host, *turns)
            for _ in range(4):
                answer = await pull(self._mirror, manifest_path(TAG, host))
                require(f"{answer}", answer.status in (200, *_NOWHERE))
        expect("connections to forbidden addresses", self._bench.surroundings.led_astray(), [])

    async def _mixed(self) -> None:
        host = host_of("mixed")
        self._bench.names.set(host, [places.PRIVATE, places.PUBLIC, "fd00::1"])
        for _ in range(4):
            answer = await pull(self._mirror, manifest_path(TAG, host))
            require(f"{answer}", answer.status in (200, *_NOWHERE))
        expect("connections to forbidden addresses", self._bench.surroundings.led_astray(), [])

    async def _public(self) -> None:
        """So that all this is not refused for another reason."""
        answer = await pull_right(self._mirror, manifest_path(TAG, places.DELIVERY), self._bench.image.index.data)
        expect("OCI-Namespace", answer.value("oci-namespace"), places.DELIVERY)

    async def traced(self, trace: Path) -> None:
        """Every connect of the process went to the upstream, the public host or the name server."""
        allowed = {(places.LOOPBACK, self._upstream.port), (places.PUBLIC, 443)}
        await wait_until("strace has seen the connects that are right", lambda: allowed <= connects(_read(trace)))
        expect("other connects", sorted(connects(_read(trace)) - allowed), [])


def _read(trace: Path) -> str:
    return trace.read_text(errors="replace") if trace.exists() else ""


def connects(lines: str) -> set[tuple[str, int]]:
    """The addresses and ports of TCP in what strace has written.

    UDP is the resolver's: it asks the name server, and the kernel for the way to an address, without sending anything.
    """
    return {(one["v4"] or one["v6"], int(one["port"])) for one in _CONNECT.finditer(lines)}


def _sent(text: str) -> str:
    """A header's value whose bytes are the text in UTF-8."""
    return text.encode().decode("latin-1")


def _location(url: str) -> Misbehaviour:
    async def misbehave(exchange: Exchange) -> None:
        await exchange.deliver(moved(307, _sent(url)))

    return misbehave


def _realm(url: str) -> Misbehaviour:
    challenge = _sent(f'Bearer realm="{url}",service="scripted"')

    async def misbehave(exchange: Exchange) -> None:
        await exchange.deliver(failure(401, "UNAUTHORIZED").set("WWW-Authenticate", challenge))

    return misbehave


_WAYS = {
    "location-http": "http://{host}{path}",
    "location-https": "https://{host}{path}",
    "location-relative": "//{host}{path}",
    "realm-http": "http://{host}/token",
    "realm-https": "https://{host}/token",
}
