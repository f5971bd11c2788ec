"""The mirrors under test: pkgd before two upstreams, and docker-registry, which knows only one, to try the tests on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from tests.bench.upstream import Upstream
from tests.crash.mirror.catalogue import Place
from tests.crash.server import DockerRegistry, Pkgd, Server

HOSTS = ("docker.io", "ghcr.io")


class PkgdMirror(Pkgd):
    """pkgd that looks at a tag again after a second and is told how much it may keep."""

    hosts: ClassVar[tuple[str, ...]] = HOSTS
    answers_ranges = True
    limit = "100GiB"

    def __init__(self, port: int, state: Path, logs: Path, upstreams: Mapping[str, Upstream]) -> None:
        super().__init__(port, state, logs)
        self.upstreams = upstreams

    def configuration(self) -> dict[str, object]:
        """Two upstreams."""
        registries = {host: {"url": f"http://127.0.0.1:{one.port}"} for host, one in self.upstreams.items()}
        mirror = {"fallback": [], "tag_ttl": "1s", "negative_ttl": "1s", "evict": {"max_size": self.limit}}
        return super().configuration() | {"enableProxy": True, "mirror": {**mirror, "registries": registries}}

    def fresh(self) -> Server:
        """Another one, with an empty state, on the next port."""
        number = sum(1 for _ in self._logs.glob("fresh-*"))
        directory = self._logs / f"fresh-{number}"
        return type(self)(self.port + 1, directory / "state", directory, self.upstreams)

    def target(self, place: Place, kind: str, reference: str) -> str:
        """What a client asks for, as containerd does."""
        return f"{place.path(kind, reference)}?ns={place.host}"


class DockerRegistryMirror(DockerRegistry):
    """Debian's docker-registry as a pull-through cache."""

    hosts: ClassVar[tuple[str, ...]] = HOSTS[:1]
    answers_ranges = False
    limit = ""
    min_free = ""

    def __init__(self, port: int, state: Path, logs: Path, upstreams: Mapping[str, Upstream]) -> None:
        super().__init__(port, state, logs)
        self.upstreams = upstreams

    def configuration(self) -> dict[str, object]:
        """One upstream."""
        (upstream,) = self.upstreams.values()
        return super().configuration() | {"proxy": {"remoteurl": f"http://127.0.0.1:{upstream.port}"}}

    def target(self, place: Place, kind: str, reference: str) -> str:
        """What a client asks for."""
        return place.path(kind, reference)


Mirror = PkgdMirror | DockerRegistryMirror
MIRRORS: dict[str, type[PkgdMirror] | type[DockerRegistryMirror]] = {
    kind.name: kind for kind in (PkgdMirror, DockerRegistryMirror)
}
