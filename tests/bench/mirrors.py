"""Mirrors side by side before one upstream; one cold pull through one of them: what it took, what the upstream saw."""

import os
from collections.abc import Sequence
from statistics import median

from attrs import field, frozen

from tests.bench.client import Load
from tests.bench.content import Blob
from tests.bench.figures import Work
from tests.bench.servers import DockerRegistry, Pkgd
from tests.bench.stage import Stage, free_port, timed
from tests.bench.upstream import Answered, Upstream

HOST = "docker.io"
REPOSITORY = "bench/mirrored"


class PkgdMirror(Pkgd):
    """pkgd, asked as containerd asks a mirror: the query names the upstream."""

    upstream_port = 0
    query = f"?ns={HOST}"

    def more_configuration(self) -> str:
        """One upstream."""
        url = f"http://127.0.0.1:{self.upstream_port}"
        return f'mirror: {{enableProxy: true, fallback: [], registries: {{{HOST}: {{url: "{url}"}}}}}}\n'


class DockerRegistryMirror(DockerRegistry):
    """docker-registry as a pull-through cache of one upstream."""

    upstream_port = 0
    query = ""

    def more_configuration(self) -> str:
        """One upstream."""
        return f'proxy: {{remoteurl: "http://127.0.0.1:{self.upstream_port}"}}\n'


Mirror = PkgdMirror | DockerRegistryMirror
MIRRORS: dict[str, type[Mirror]] = {kind.kind: kind for kind in (PkgdMirror, DockerRegistryMirror)}


@frozen
class ColdPull:
    """One cold blob through a mirror: what clients and upstream saw, and what it cost."""

    server: str
    size: int
    load: Load
    cpu: float
    gets: Sequence[Answered]
    peak_rss: int
    health: Sequence[float] = field(factory=list)
    control: Sequence[float] = field(factory=list)

    @property
    def work(self) -> Work:
        """As a race counts it."""
        return Work(self.load.bytes, self.load.seconds, self.cpu, {"first byte": median(self.delays)})

    @property
    def delays(self) -> list[float]:
        """For every client, the seconds from when its answer's first byte left the upstream until the client had it."""
        return [one.first - self._left(one.begin) for one in self.load.arrivals]

    def _left(self, offset: int) -> float:
        return min(get.reached(offset) for get in self.gets if get.start <= offset and get.sent[-1][0] > offset)


def lineup(stage: Stage, upstream: Upstream, *, peer: bool = True) -> list[Mirror]:
    """The mirror under test and perhaps docker-registry, of one upstream, not yet running."""
    kinds = {stage.subject_label: MIRRORS[stage.subject.kind]}
    if peer:
        kinds[DockerRegistry.kind] = DockerRegistryMirror
    servers = [stage.server(kind, label) for label, kind in kinds.items()]
    for server in servers:
        server.upstream_port = upstream.port
    return servers


def upstream_of(rate: float | None = None) -> Upstream:
    """An upstream, not yet running."""
    return Upstream(free_port(), rate)


def cold_pull(stage: Stage, upstream: Upstream, server: Mirror, blob: Blob, starts: Sequence[int | None]) -> ColdPull:
    """Pull a blob that the mirror has never seen, a client for each start."""
    path = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
    upstream.put_blob(REPOSITORY, blob.digest, stage.content.body(blob))
    position = upstream.position
    os.sync()
    loads: list[Load] = []

    def pull() -> Load:
        wanted = [(path + server.query, start) for start in starts]
        loads.append(stage.client.pull(server.port, wanted, blob, stage.content))
        return loads[0]

    work = timed(server, pull, lambda done: done.bytes)
    upstream.await_idle()
    gets = [one for one in upstream.since(position) if one.method == "GET" and one.path == path]
    return ColdPull(server.label, blob.size, loads[0], work.cpu, gets, server.peak_rss())


def faults_of(pulls: Sequence[ColdPull], subject: str) -> list[str]:
    """A complaint for every pull through the server under test for which the upstream was asked more than once."""
    ours = [pull for pull in pulls if pull.server == subject]
    return [
        f"{len(pull.gets)} upstream GETs for {len(pull.load.arrivals)} clients of one cold blob of {pull.size} bytes"
        for pull in ours
        if len(pull.gets) != 1
    ]
