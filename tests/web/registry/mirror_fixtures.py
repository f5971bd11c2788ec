"""The whole edge in front of a mirror in front of upstreams that answer what the test says."""

from __future__ import annotations

import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.policy import AllowAll, Policy
from pkgd.errors import UpstreamUnavailable
from pkgd.formats.digest import Digest
from pkgd.formats.globs import Globs
from pkgd.formats.oci import detect_media_type
from pkgd.mirror.origins import OriginRules
from pkgd.registry.catalog import Catalog
from pkgd.web.gate import Gate
from pkgd.web.health import HealthApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.registry.mirror import MirrorEndpoints, Mirrors
from pkgd.web.root import Root
from tests.mirror.fill_fixtures import Mirror
from tests.mirror.scripted import HUB, Asked, Reply, ScriptedUpstream
from tests.web.content import BLOB, CONFIG, PLAIN, digest_of, image, push_blob, push_manifest
from tests.web.fixtures import Edge
from tests.web.messages import Response

__all__ = [
    "ALPINE",
    "DATA",
    "DIGEST",
    "GONE",
    "OTHER",
    "OTHER_DIGEST",
    "OWN_ID",
    "MirrorCase",
    "MirrorEdge",
    "Shelf",
    "globs",
]

OWN_ID = "pkgd-0123456789abcdef"
OTHER = image(annotations={"an": "other"})
OTHER_DIGEST = digest_of(OTHER)
DATA = bytes(range(256)) * 4096
DIGEST = digest_of(DATA)
ALPINE = "/v2/library/alpine"
GONE = UpstreamUnavailable(HUB, "is gone")


def globs(*patterns: str) -> Globs:
    """A set of globs."""
    return Globs(patterns)


class Shelf:
    """What an upstream has, and how it answers: as a registry, until something else is scripted."""

    def __init__(self, upstream: ScriptedUpstream) -> None:
        self.blobs: dict[str, bytes] = {}
        self.tags: dict[str, bytes] = {}
        self.manifests: dict[str, bytes] = {}
        self.referrers: dict[str, Reply] = {}
        upstream.always = self.answer

    def blob(self, data: bytes) -> str:
        """Have a blob; returns its digest."""
        digest = str(Digest.of(data))
        self.blobs[digest] = data
        return digest

    def manifest(self, data: bytes, *tags: str) -> str:
        """Have a manifest, and tags on it; returns its digest."""
        digest = str(Digest.of(data))
        self.manifests[digest] = data
        self.tags.update((tag, data) for tag in tags)
        return digest

    def answer(self, asked: Asked) -> Reply | None:
        """What a request gets."""
        kind, _, name = asked.path.partition("/")
        if kind == "blobs":
            return self._blob(asked, self.blobs.get(name))
        if kind == "tags":
            return Reply(b'{"tags":[%b]}' % b",".join(b'"%b"' % tag.encode() for tag in sorted(self.tags)))
        if kind == "referrers":
            return self.referrers.get(name)
        data = self.manifests.get(name) if ":" in name else self.tags.get(name)
        if data is None:
            return None
        headers = {"Content-Type": detect_media_type(data), "Docker-Content-Digest": str(Digest.of(data))}
        return Reply(data, headers=headers)

    def _blob(self, asked: Asked, data: bytes | None) -> Reply | None:
        if data is None:
            return None
        start = int(asked.headers.get("Range", "bytes=0-").removeprefix("bytes=").partition("-")[0])
        headers = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}"}
        return Reply(data[start:], 206, headers) if start else Reply(data)


class MirrorEdge(Edge):
    """An edge with a mirror. `mirror` is what is behind it, and `shelf` what the upstream of a host has."""

    def __init__(
        self,
        case: SynchronousTestCase,
        rules: OriginRules | None = None,
        policy: Policy | None = None,
        mirror: dict[str, Any] | None = None,
        **options: Any,
    ) -> None:
        super().__init__(case, policy=policy, **options)
        self.mirror = Mirror(
            os.path.join(self.directory, "oci"), self.fs, self.blocking, clock=self.clock, **(mirror or {})
        )
        self._shelves: dict[str, Shelf] = {}
        self._install(OriginRules(enabled=True) if rules is None else rules, policy or AllowAll())

    def _install(self, rules: OriginRules, policy: Policy) -> None:
        """Put the mirror's door beside the hosted registry's handlers."""
        mirror: Any = self.mirror
        mirrors = Mirrors(mirror.cache, mirror.manifests, mirror.blobs, mirror.referrers, mirror.tags)
        door = MirrorEndpoints(mirrors, rules, Catalog(mirror.store), self.blocking, OWN_ID, self.suspect)
        rows = self.root._registry._table.values()
        hosted = list({id(endpoint): endpoint for endpoint, _ in rows}.values())
        self.root = Root(RegistryApi(Gate(policy), hosted, None, door), HealthApi(self.readiness, self.clock))
        self.route = self.root.route

    def upstream(self, host: str) -> ScriptedUpstream:
        """The upstream of a host, which answers on the clock's next turn."""
        upstream = self.mirror._upstream(host)
        upstream.clock = self.clock
        return upstream

    def shelf(self, host: str = "docker.io") -> Shelf:
        """What the upstream of a host has."""
        if host not in self._shelves:
            self._shelves[host] = Shelf(self.upstream(host))
        return self._shelves[host]

    @property
    def hub(self) -> ScriptedUpstream:
        """The upstream that most tests are about."""
        self.shelf()
        return self.upstream("docker.io")

    def asked(self) -> dict[str, list[str]]:
        """What the upstreams have been asked since the last look, by host."""
        found = {host: one.requests for host, one in self.mirror.hosts.items() if one.asked}
        for one in self.mirror.hosts.values():
            one.asked.clear()
        return found

    def get(self, target: str, **headers: str) -> Response:
        """GET, and its answer; `_` in headers stands for `-`."""
        return self.call("GET", target, {name.replace("_", "-"): value for name, value in headers.items()})

    def head(self, target: str, **headers: str) -> Response:
        """HEAD."""
        return self.call("HEAD", target, {name.replace("_", "-"): value for name, value in headers.items()})

    def close(self) -> None:
        """Also make sure that the mirror has left nothing behind."""
        super().close()
        assert not self.mirror.fill_files(), "files left in the spool"
        assert not self.mirror.fills._flying
        for upstream in self.mirror.hosts.values():
            assert not upstream.lent_buffers, f"{upstream.lent_buffers} buffers of {upstream.host} are still lent"
            assert not upstream.script, "answers that nobody asked for"


class MirrorCase(SynchronousTestCase):
    """A test case with a mirror whose upstream, docker.io, has an image."""

    def setUp(self) -> None:
        """Make it."""
        self.use()

    def use(self, rules: OriginRules | None = None, **options: Any) -> MirrorEdge:
        """Make the edge that the test is about."""
        self.edge = edge = MirrorEdge(self, rules, **options)
        shelf = edge.shelf()
        shelf.manifest(PLAIN, "latest")
        for data in (BLOB, CONFIG, DATA):
            shelf.blob(data)
        return edge

    def serves(self, target: str, data: bytes = PLAIN, host: str | None = HUB, **headers: str) -> Response:
        """A target is answered with this, from that upstream; None for the hosted registry."""
        answer = self.edge.get(target, **headers)
        self.assertEqual((answer.status, answer.header("OCI-Namespace")), (200, host), (target, answer))
        self.assertEqual(answer.body, data)
        return answer

    def refuses(self, target: str, status: int, code: str, method: str = "GET", **headers: str) -> Response:
        """A target is refused."""
        answer = self.edge.call(method, target, {name.replace("_", "-"): value for name, value in headers.items()})
        self.assertEqual(answer.status, status, (target, answer))
        if method != "HEAD":
            self.assertEqual(answer.code, code)
        return answer

    def host(self, name: str, tag: str, data: bytes = OTHER) -> None:
        """Push an image."""
        for one in (BLOB, CONFIG):
            push_blob(self.edge, name, one)
        push_manifest(self.edge, name, tag, data)

    def host_before(self, name: str, tag: str) -> None:
        """Have an image that was pushed when the mirror was off."""
        self.use(OriginRules(enabled=False))
        self.host(name, tag)
        self.inherit(name.partition("/")[0], OriginRules(enabled=True))

    def inherit(self, directory: str, rules: OriginRules, **options: Any) -> None:
        """Go on with another edge, and a directory of the present one's tree."""
        tree = self.edge.tree.root
        self.use(rules, **options)
        self.edge.fs.rename(f"{tree}/{directory}", f"{self.edge.tree.root}/{directory}")
