"""The registries behind the mirror: docker-registry processes of the suite's own, each playing a public one.

    docker.io        plain HTTP; an index of three architectures, and a layer of 200 MiB
    registry.k8s.io  plain HTTP; an image whose name has one part
    ghcr.io          asks for a user and a password, which pkgd has in its configuration
    quay.io          HTTPS by a CA of its own; also an artifact with a subject, which it knows by the fallback tag only

They are filled once, and their trees are kept: every group of cases starts its own processes on them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.live.bench import Bench
from tests.live.certificates import Certificates, issue
from tests.live.content import expect
from tests.live.images import Artifact
from tests.live.layout import OCI_INDEX, Descriptor
from tests.live.mirror_stock import OWN_NAME, Stocked, heavy_of, hosted_of, light_of, signed_of
from tests.live.registry import Registry
from tests.live.server import DockerRegistry, Setup
from tests.live.skopeo import Skopeo

PROGRAMS = ["docker-registry", "skopeo"]

_PORTS = {"docker.io": 21601, "registry.k8s.io": 21602, "ghcr.io": 21603, "quay.io": 21604}
_USER, _PASSWORD = "mirror", "secret of the upstream"
_HTPASSWD = f"{_USER}:$2b$04$nScZ6glgupFPfZHPIz/XfePzEcqiD8ukpyVy1q/RpuMbZBAT5nh4m\n"


@dataclass
class Upstream(DockerRegistry):
    """One docker-registry that plays a public registry."""

    ready_path: ClassVar[str] = "/"
    wants_password: bool = False

    def settings(self) -> dict[str, Any]:
        """The configuration, with the one user who may."""
        settings = super().settings()
        if self.wants_password:
            file = self.folder / "htpasswd"
            file.write_text(_HTPASSWD)
            settings["auth"] = {"htpasswd": {"realm": "upstream", "path": str(file)}}
        return settings

    def fetches(self) -> list[str]:
        """The path of every manifest and blob that it was asked for by GET and gave, one for each time."""
        pattern = r'"GET (/v2/\S+/(?:manifests|blobs)/\S+) HTTP/[.0-9]+" 20'
        return re.findall(pattern, self.log.read_text(errors="replace"))


class Upstreams:
    """The four, running."""

    def __init__(self, servers: dict[str, Upstream], certificates: Certificates) -> None:
        self._servers = servers
        self._certificates = certificates

    def __getitem__(self, host: str) -> Upstream:
        """The one that plays that host."""
        return self._servers[host]

    def registries(self) -> dict[str, dict[str, str]]:
        """`mirror.registries` of pkgd's configuration."""
        settings = {host: {"url": server.setup.endpoint.url} for host, server in self._servers.items()}
        settings["ghcr.io"] |= {"username": _USER, "password": _PASSWORD}
        settings["quay.io"] |= {"ca_file": str(self._certificates.authority)}
        return settings

    def fetches(self) -> Counter[str]:
        """How many times each manifest and blob was fetched so far: host and path → times."""
        return Counter(host + path for host, server in self._servers.items() for path in server.fetches())

    def each_blob_went_out_once(self) -> None:
        """No blob was fetched twice; and some were, or this would prove nothing."""
        blobs = {path: times for path, times in self.fetches().items() if "/blobs/" in path}
        expect("blobs fetched more than once", [path for path, times in blobs.items() if times > 1], [])
        expect("any blob fetched", bool(blobs), True)

    @contextmanager
    def untouched(self) -> Iterator[None]:
        """In the block nothing may be fetched."""
        before = self.fetches()
        yield
        expect("fetched from upstream again", list(self.fetches() - before), [])

    def stop(self) -> None:
        """End them all."""
        for server in self._servers.values():
            server.stop()


@contextmanager
def running_upstreams(bench: Bench) -> Iterator[Upstreams]:
    """The four for the block, filled."""
    trees = bench.scratch / "upstreams"
    if not trees.exists():
        _fill(bench, trees)
    with ExitStack() as stack:
        certificates = issue(stack.enter_context(bench.folder("upstream-certificates")), ["127.0.0.1"])
        servers = {}
        for host, port in _PORTS.items():
            own = certificates if host == "quay.io" else None
            setup = Setup(f"upstream-{host}", "127.0.0.1", port, own, tree=trees / host)
            servers[host] = Upstream(setup, bench.scratch / setup.name, wants_password=host == "ghcr.io")
            stack.callback(servers[host].remove)
            servers[host].start()
        yield Upstreams(servers, certificates)


@contextmanager
def mirroring(bench: Bench, **more: Any) -> Iterator[tuple[Bench, Upstreams]]:
    """pkgd as a mirror of the four for the block: a bench that reaches it, and what is behind.

    :param more: further settings of pkgd's `mirror` section.
    """
    with running_upstreams(bench) as upstreams:
        settings = {"registries": upstreams.registries(), **more}
        with bench.serving(mirror_setup(bench, "mirror", 21700, **settings)) as server:
            yield bench.reaching(server, server.setup.endpoint), upstreams


def mirror_setup(bench: Bench, name: str, port: int, **settings: Any) -> Setup:
    """How a pkgd runs as a mirror, beside the bench's own."""
    own = bench.endpoint
    settings = {"enableProxy": True, **settings}
    return Setup(name, own.host, port, own.certificates, own_names=(OWN_NAME,), mirror=settings)


def host_tool(mirror: Bench) -> Stocked:
    """Put the image of pkgd's own into it."""
    hosted = hosted_of(mirror.images)
    Skopeo(mirror).copy_to(hosted.content.source, hosted.name)
    return hosted


def _fill(bench: Bench, trees: Path) -> None:
    """Fill the four trees, by processes that want neither password nor TLS."""
    for host in _PORTS:
        setup = Setup("filling", "127.0.0.1", 21600, tree=trees / host)
        server = DockerRegistry(setup, bench.scratch / setup.name)
        try:
            server.start()
            _push_all(bench.reaching(server, setup.endpoint), host)
            server.stop()
        finally:
            server.remove()


def _push_all(bench: Bench, host: str) -> None:
    bench.forget_known_blobs()
    for stocked in (*light_of(bench.images), heavy_of(bench.images)):
        if stocked.host == host:
            Skopeo(bench).copy_to(stocked.content.source, stocked.name, "--all")
    signed = signed_of(bench.images)
    if signed.host == host:
        _push_artifact(bench, signed.name, bench.images.artifact)


def _push_artifact(bench: Bench, name: str, artifact: Artifact) -> None:
    """Push it as clients do where the registry has no referrers API: a list of referrers under the fallback tag."""
    Skopeo(bench).copy_to(artifact.source, name, tag="parts")
    entry = artifact.manifest.to_json(artifactType=artifact.artifact_type)
    body = json.dumps({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": [entry]}).encode()
    fallback_tag = artifact.subject.manifest.digest.replace(":", "-")
    Registry(bench.endpoint).put_manifest(name, fallback_tag, Descriptor(OCI_INDEX, "", len(body)), body)
