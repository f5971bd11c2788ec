"""Blobs out of a warm page cache: many clients on one blob, and one client on a large one."""

from attrs import frozen

from tests.bench import api
from tests.bench.client import Load
from tests.bench.figures import GIB, MIB, Outcome, Work, interleave
from tests.bench.races import BYTES, Race
from tests.bench.servers import DockerRegistry, Nginx, Server, running
from tests.bench.stage import Stage, timed

REPOSITORY = "bench/blobs"
TIMES_DOCKER_REGISTRY = 1.2
TIMES_NGINX = 0.9


@frozen
class Crowd:
    """So many clients, each fetching a blob of one size several times over its connection."""

    clients: int
    size: int
    repeat: int

    @property
    def title(self) -> str:
        """How the tables call it."""
        return f"GET of {self.size // MIB} MiB, {self.clients} client{'s' if self.clients > 1 else ''}"


def many_clients(stage: Stage) -> Outcome:
    """What a fleet does that pulls the same layer."""
    return _run(stage, Crowd(16, 64 * MIB, 1 if stage.quick else 4))


def one_client(stage: Stage) -> Outcome:
    """What one machine does that pulls a large layer."""
    return _run(stage, Crowd(1, GIB // 4 if stage.quick else GIB, 2))


def _run(stage: Stage, crowd: Crowd) -> Outcome:
    blob = stage.content.blob(crowd.size)
    path = stage.content.file(blob)
    target = f"/v2/{REPOSITORY}/blobs/{blob.digest}"
    servers = stage.lineup(DockerRegistry, Nginx)
    for server in servers:
        server.place_blob(REPOSITORY, blob.digest, path)

    def load(server: Server, _round: int) -> Work:
        def fetch() -> Load:
            return stage.client.get(server.port, [target] * crowd.clients, crowd.size, crowd.repeat)

        return timed(server, fetch, lambda done: done.bytes)

    with running(servers):
        samples = interleave(servers, stage.rounds, stage.order, load)
        peaks = {server.label: server.peak_rss() for server in servers}
        for server in servers:
            api.check_blob(server.port, target, blob)
    stage.discard(servers)
    path.unlink()
    race = Race(crowd.title, BYTES, stage.subject_label, samples, peaks)
    bars = (race.bar(DockerRegistry.kind, TIMES_DOCKER_REGISTRY), race.bar(Nginx.kind, TIMES_NGINX))
    return Outcome((race.table(),), bars, {race.title: race.raw()})
