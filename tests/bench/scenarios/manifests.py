"""Small requests: a manifest by tag and by digest, GET and HEAD, on keep-alive connections."""

from collections.abc import Sequence

from attrs import frozen

from tests.bench import api
from tests.bench.client import Load
from tests.bench.content import MANIFEST_TYPE, Image, small_image
from tests.bench.figures import Outcome, Work, interleave
from tests.bench.races import REQUESTS, Race
from tests.bench.servers import DockerRegistry, Nginx, Server, running
from tests.bench.stage import Stage, timed

REPOSITORY, TAG = "bench/small", "latest"
CONNECTIONS = 16
SECONDS = 1
TIMES_DOCKER_REGISTRY = 10

# What containers/image sends, its six Accept fields put into one line.
HEADERS = {
    "User-Agent": "containers/5.34.2 (github.com/containers/image)",
    "Docker-Distribution-Api-Version": "registry/2.0",
    "Accept": f"{MANIFEST_TYPE}, application/vnd.oci.image.index.v1+json, "
    "application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json, "
    "application/vnd.docker.distribution.manifest.v1+prettyjws, application/vnd.docker.distribution.manifest.v1+json",
}


@frozen
class Question:
    """One kind of request."""

    method: str
    reference: str
    title: str

    @property
    def target(self) -> str:
        """The path to ask for."""
        return f"/v2/{REPOSITORY}/manifests/{self.reference}"


def run(stage: Stage) -> Outcome:
    """Race all servers through each kind of request."""
    image = small_image()
    servers = stage.lineup(DockerRegistry, Nginx)
    questions = [
        Question("GET", TAG, "GET of a manifest by tag"),
        Question("HEAD", TAG, "HEAD of a manifest by tag"),
        Question("GET", image.digest, "GET of a manifest by digest"),
    ]
    with running(servers):
        _publish(servers, image)
        races = [_race(stage, servers, question, len(image.manifest)) for question in questions]
    stage.discard(servers)
    bars = tuple(race.bar(DockerRegistry.kind, TIMES_DOCKER_REGISTRY) for race in races)
    return Outcome(tuple(race.table() for race in races), bars, {race.title: race.raw() for race in races})


def _publish(servers: Sequence[Server], image: Image) -> None:
    for server in servers:
        server.publish(REPOSITORY, TAG, image)
        for reference in (TAG, image.digest):
            api.check_manifest(server.port, f"/v2/{REPOSITORY}/manifests/{reference}", image)


def _race(stage: Stage, servers: Sequence[Server], question: Question, size: int) -> Race:
    def load(server: Server, _round: int) -> Work:
        return timed(server, lambda: _ask(stage, server, question, size), lambda done: done.requests)

    samples = interleave(servers, stage.rounds, stage.order, load)
    peaks = {server.label: server.peak_rss() for server in servers}
    return Race(f"{question.title}, {CONNECTIONS} connections", REQUESTS, stage.subject_label, samples, peaks)


def _ask(stage: Stage, server: Server, question: Question, size: int) -> Load:
    if question.method == "GET":
        return stage.client.small_gets(server.port, question.target, CONNECTIONS, SECONDS, HEADERS)
    return stage.client.head(server.port, question.target, size, CONNECTIONS, SECONDS, HEADERS)
