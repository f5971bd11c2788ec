"""What cases get: names and certificates, upstreams, mirrors, and the short ways to use them together.

A case is a coroutine that raises `Failed`, or anything else, if what it tries comes out wrong.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tests.hostile.__main__ import peak_memory
from tests.live.tools import run
from tests.upstream import places
from tests.upstream.authority import Authority
from tests.upstream.client import Answer, ask
from tests.upstream.content import REPOSITORY, TAG, Image, Shelf, image
from tests.upstream.disk import faults_of_tree, leftovers
from tests.upstream.mirror import Mirror, Options, Settings
from tests.upstream.names import Names
from tests.upstream.scripted import Upstream
from tests.upstream.surroundings import Surroundings

_FIRST_PORT = 10_000
_SWEPT = 5.0
_LARGEST_MEMORY = 256 << 20

Trial = Callable[[], Awaitable[None]]


class Case(NamedTuple):
    """One line of the report: what is tried, and the trial."""

    name: str
    trial: Trial


class Failed(Exception):
    """Something is not as it must be."""


def expect(what: str, actual: object, wanted: object) -> None:
    """Raise unless both are equal."""
    if actual != wanted:
        raise Failed(f"{what}\n  is      {actual}\n  must be {wanted}")


def require(what: str, condition: object) -> None:
    """Raise unless it holds."""
    if not condition:
        raise Failed(what)


async def wait_until(what: str, condition: Callable[[], object], seconds: float = 10.0) -> None:
    """Return as soon as the condition holds; raise after so many seconds."""
    end = time.monotonic() + seconds
    while not condition():
        require(f"{what}: not within {seconds:.0f} s", time.monotonic() < end)
        await asyncio.sleep(0.02)


class Bench:
    """The surroundings of all cases."""

    def __init__(self, scratch: Path, names: Names, has_v6: bool) -> None:
        self.scratch = scratch
        self.names = names
        self.has_v6 = has_v6
        self.authority = Authority(scratch / "certificates", "authority")
        self.image = image(1)
        self.moved = image(2, (3, 900))
        self.surroundings = Surroundings(self.authority, self.image.shelf(), names, has_v6)
        self.afterwards: list[Case] = []
        """What is still to be looked at, of mirrors that have been stopped."""
        self._next_port = _FIRST_PORT
        self._mirrors = 0

    def port(self) -> int:
        """A port that nobody uses."""
        self._next_port += 1
        return self._next_port

    @cached_property
    def tls(self) -> ssl.SSLContext:
        """A good certificate for every name of the suite's domain."""
        return self.authority.context(f"*.{places.DOMAIN}")

    @cached_property
    def _certificates(self) -> dict[str, ssl.SSLContext]:
        name = f"*.{places.DOMAIN}"
        other = Authority(self.scratch / "certificates", "other-authority")
        return {
            "good": self.tls,
            "expired": self.authority.context(name, label="expired", expired=True),
            "self-signed": self.authority.context(name, label="self-signed", by_itself=True),
            "other name": self.authority.context("other.example.net"),
            "other authority": other.context(name, label="other"),
        }

    def certificate(self, label: str | None) -> ssl.SSLContext | None:
        """A certificate for a fault: the context that shows it."""
        return None if label is None else self._certificates[label]

    def shelf(self, which: Image | None = None) -> Shelf:
        """A repository with the usual image, or another one."""
        return (which or self.image).shelf()

    def upstream(self, **shelves: Shelf) -> Upstream:
        """An upstream with the usual repository, or those given; it still has to be opened."""
        return Upstream(shelves or {REPOSITORY: self.shelf()}, self.port())

    def secure_upstream(self, name: str) -> Upstream:
        """One that speaks TLS under `name.DOMAIN`."""
        host = f"{name}.{places.DOMAIN}"
        self.names.set(host, [places.LOOPBACK])
        return Upstream({REPOSITORY: self.shelf()}, self.port(), tls=self.tls, host=host)

    @asynccontextmanager
    async def mirror(
        self, settings: Settings, label: str = "mirror", options: Options | None = None
    ) -> AsyncIterator[Mirror]:
        """A running mirror; when it has ended, its exit, memory, log, tree and spool are to be looked at.

        It takes the suite's authority for one of the system's.
        """
        self._mirrors += 1
        options = options or Options()
        options = replace(options, environment={"SSL_CERT_FILE": str(self.authority.file), **options.environment})
        folder = self.scratch / f"{self._mirrors:02}-{label}"
        mirror = Mirror(options.port or self.port(), folder, settings, options)
        if options.disk is not None:
            mirror.state.mkdir(parents=True)
            run("mount", "-t", "tmpfs", "-o", f"size={options.disk}m,mode=0750", "tmpfs", str(mirror.state))
        await asyncio.to_thread(mirror.start)
        memory = 0
        try:
            yield mirror
            await self._swept(mirror)
            memory = peak_memory(mirror.pid)
        finally:
            status = await asyncio.to_thread(mirror.stop)
            self.afterwards += _afterwards(label, mirror, status, memory)

    async def _swept(self, mirror: Mirror) -> None:
        """Give fills that are still on their way the time to end."""
        with suppress(Failed):
            await wait_until("all fills have ended", lambda: not leftovers(mirror.tree), _SWEPT)

    def registries(self, **sections: object) -> Settings:
        """`mirror.registries` where each name is one in the suite's domain; a section is given or is an upstream."""
        return {f"{name.replace('_', '-')}.{places.DOMAIN}": self.section(one) for name, one in sections.items()}

    def section(self, upstream: object, **more: object) -> object:
        """The section of `mirror.registries` for an upstream."""
        if not isinstance(upstream, Upstream):
            return upstream
        trust = {"ca_file": str(self.authority.file)} if upstream.url.startswith("https:") else {}
        return {"url": upstream.url, **trust, **more}


def manifest_path(reference: str = TAG, host: str | None = None, repository: str = REPOSITORY) -> str:
    """The target of a manifest, at an upstream if one is named."""
    return _target(f"/v2/{repository}/manifests/{reference}", host)


def blob_path(digest: str, host: str | None = None, repository: str = REPOSITORY) -> str:
    """The target of a blob."""
    return _target(f"/v2/{repository}/blobs/{digest}", host)


def referrers_path(digest: str, host: str | None = None, repository: str = REPOSITORY) -> str:
    """The target of a list of referrers."""
    return _target(f"/v2/{repository}/referrers/{digest}", host)


def _target(path: str, host: str | None) -> str:
    return path if host is None else f"{path}?ns={host}"


def host_of(name: str) -> str:
    """A name in the suite's domain."""
    return f"{name}.{places.DOMAIN}"


async def pull(mirror: Mirror, target: str, method: str = "GET", **fields: str) -> Answer:
    """Ask a mirror."""
    return await ask(mirror.port, method, target, {name.replace("_", "-"): value for name, value in fields.items()})


async def pull_right(mirror: Mirror, target: str, body: bytes, **fields: str) -> Answer:
    """Ask a mirror, and expect these bytes."""
    answer = await pull(mirror, target, **fields)
    require(f"GET {target}: {answer}", answer.status == 200 and answer.whole)
    require(f"GET {target}: wrong bytes, {answer}", answer.body == body)
    return answer


async def refused(mirror: Mirror, target: str, status: int, code: str = "", **fields: str) -> Answer:
    """Ask a mirror, and expect a refusal."""
    answer = await pull(mirror, target, **fields)
    expect(f"status of GET {target} ({answer})", answer.status, status)
    if code:
        expect(f"code of GET {target}", answer.code, code)
    return answer


async def push(mirror: Mirror, repository: str, tag: str, which: Image) -> None:
    """Push an image's index under a tag, as a client does."""
    for digest, data in which.shelf().blobs.items():
        fields = {"Content-Length": str(len(data)), "Content-Type": "application/octet-stream"}
        answer = await send(mirror, "POST", f"/v2/{repository}/blobs/uploads/?digest={digest}", data, fields)
        expect(f"status of a push of {digest} ({answer})", answer.status, 201)
    for reference, manifest in ((which.manifest.digest, which.manifest), (tag, which.index)):
        fields = {"Content-Length": str(len(manifest.data)), "Content-Type": manifest.media_type}
        answer = await send(mirror, "PUT", manifest_path(reference, repository=repository), manifest.data, fields)
        expect(f"status of a push of {reference} ({answer})", answer.status, 201)


async def send(mirror: Mirror, method: str, target: str, body: bytes, fields: dict[str, str]) -> Answer:
    """Send a request with a body."""
    return await ask(mirror.port, method, target, fields, body=body)


def _afterwards(label: str, mirror: Mirror, status: int, memory: int) -> list[Case]:
    """What must hold of every mirror, once it has ended."""
    notices, faults, spool = mirror.new_crash_notices(), faults_of_tree(mirror.tree), leftovers(mirror.tree)

    def check(what: str, good: bool, found: object) -> Case:
        async def trial() -> None:
            require(f"{found}", good)

        return Case(f"{label}: {what}", trial)

    return [
        check("ends in order", status == 0, f"exit status {status}"),
        check("keeps its memory small", memory <= _LARGEST_MEMORY, f"peak memory {memory >> 20} MiB"),
        check("logs no traceback", not notices, "\n".join(notices[:3])),
        check("has nothing wrong in its cache", not faults, "\n".join(faults[:10])),
        check("leaves nothing unfinished", not spool, json.dumps(spool[:10])),
    ]
