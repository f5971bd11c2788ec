"""What a mirror answers at once: manifests it has never seen, and content it has, beside the same content hosted."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import median
from threading import Thread

from attrs import frozen

from tests.bench import api, mirrors
from tests.bench.client import Load
from tests.bench.content import MANIFEST_TYPE, Image, small_image
from tests.bench.figures import MIB, Outcome, Table, Work, interleave, spread
from tests.bench.mirrors import REPOSITORY, Mirror
from tests.bench.races import BYTES, REQUESTS, Race, Unit
from tests.bench.scenarios.manifests import CONNECTIONS, HEADERS, SECONDS
from tests.bench.servers import Server, running
from tests.bench.stage import Stage, timed
from tests.bench.upstream import Upstream

TAG = "latest"
UPLINK = 20 * MIB
FILL_CLIENTS, FILL_SIZE = 2, 32 * MIB
PULLS, PULL_SIZE = 16, 64 * MIB


@frozen
class Way:
    """One way to the same content: through a mirror, or hosted."""

    label: str
    server: Server
    query: str

    def target(self, kind: str, reference: str) -> str:
        """A path."""
        return f"/v2/{REPOSITORY}/{kind}/{reference}{self.query}"


def cold_manifests(stage: Stage) -> Outcome:
    """Manifests never asked for before, while nothing else happens and while a layer trickles in."""
    count = 5 if stage.quick else 20
    with mirrors.upstream_of(UPLINK) as upstream:
        servers = mirrors.lineup(stage, upstream)
        with running(servers):
            rows = [row for server in servers for row in _ask_cold(stage, upstream, server, count)]
            rows.append(_row("the upstream itself", _ask(upstream.port, "", _images(upstream, count))))
        stage.discard(servers)
    columns = ("server", "manifests", "median ms", "spread")
    title = f"cold manifest by tag, each on a new connection; a fill of {FILL_SIZE // MIB} MiB takes its time meanwhile"
    raw = {"cold manifests": [list(row) for row in rows]}
    return Outcome((Table(title, columns, tuple(rows)),), (), raw)


def warm_manifests(stage: Stage) -> Outcome:
    """GET and HEAD of a cached manifest by tag."""
    image = small_image()
    with mirrors.upstream_of() as upstream:
        upstream.put_manifest(REPOSITORY, image.digest, image.manifest, MANIFEST_TYPE, TAG)
        ways, servers = _ways(stage, upstream)
        with running(servers):
            servers[0].publish(REPOSITORY, TAG, image)
            for way in ways:
                api.check_manifest(way.server.port, way.target("manifests", TAG), image)
            races = [_manifest_race(stage, ways, method, image) for method in ("GET", "HEAD")]
        stage.discard(servers)
    return Outcome(tuple(race.table() for race in races), (), {race.title: race.raw() for race in races})


def warm_blobs(stage: Stage) -> Outcome:
    """GET of a cached blob by many clients."""
    blob = stage.content.blob(PULL_SIZE)
    path = stage.content.file(blob)
    with mirrors.upstream_of() as upstream:
        upstream.put_blob(REPOSITORY, blob.digest, stage.content.body(blob))
        ways, servers = _ways(stage, upstream)
        servers[0].place_blob(REPOSITORY, blob.digest, path)
        with running(servers):
            for way in ways:
                api.check_blob(way.server.port, way.target("blobs", blob.digest), blob)
            upstream.await_idle()

            def fetch(way: Way) -> Load:
                targets = [way.target("blobs", blob.digest)] * PULLS
                return stage.client.get(way.server.port, targets, blob.size, 1 if stage.quick else 4)

            title = f"warm GET of {PULL_SIZE // MIB} MiB, {PULLS} clients"
            result = _race(stage, ways, title, BYTES, lambda way: _timed(way, fetch, BYTES))
        stage.discard(servers)
    path.unlink()
    return Outcome((result.table(),), (), {result.title: result.raw()})


# -- cold manifests --


def _ask_cold(stage: Stage, upstream: Upstream, server: Mirror, count: int) -> Iterator[tuple[str, ...]]:
    yield _row(f"{server.label}, idle", _ask(server.port, server.query, _images(upstream, count)))
    with _filling(stage, upstream, server):
        yield _row(f"{server.label}, during a fill", _ask(server.port, server.query, _images(upstream, count)))


@contextmanager
def _filling(stage: Stage, upstream: Upstream, server: Mirror) -> Iterator[None]:
    """A cold blob on its way to some clients while the block runs, and to its end."""
    begun = upstream.position
    blob = stage.content.blob(FILL_SIZE)
    starts = [None] * FILL_CLIENTS
    fill = Thread(target=lambda: mirrors.cold_pull(stage, upstream, server, blob, starts))
    fill.start()
    while not any(one.sent for one in upstream.since(begun)) and fill.is_alive():
        time.sleep(0.01)
    yield
    fill.join()


def _images(upstream: Upstream, count: int) -> dict[str, Image]:
    """New images at the upstream, by repository."""
    position = time.monotonic_ns()
    images = {f"bench/cold-{position}-{number}": small_image(f" {position} {number}") for number in range(count)}
    for repository, image in images.items():
        upstream.put_manifest(repository, image.digest, image.manifest, MANIFEST_TYPE, TAG)
    return images


def _ask(port: int, query: str, images: dict[str, Image]) -> list[float]:
    """How many seconds each image's manifest takes."""
    times = []
    for repository, image in images.items():
        began = time.monotonic()
        api.check_manifest(port, f"/v2/{repository}/manifests/{TAG}{query}", image)
        times.append(time.monotonic() - began)
    return times


def _row(label: str, times: Sequence[float]) -> tuple[str, ...]:
    milliseconds = [one * 1000 for one in times]
    return (label, str(len(times)), f"{median(milliseconds):.1f}", spread(milliseconds, 1))


# -- warm content --


def _ways(stage: Stage, upstream: Upstream) -> tuple[list[Way], list[Server]]:
    """The mirrors, and the server under test as a host; also the servers, the host first."""
    hosted = stage.server(stage.subject, f"{stage.subject_label}, hosted")
    mirrored = mirrors.lineup(stage, upstream)
    ways = [Way(f"{server.label}, mirrored", server, server.query) for server in mirrored]
    return [*ways, Way(hosted.label, hosted, "")], [hosted, *mirrored]


def _manifest_race(stage: Stage, ways: Sequence[Way], method: str, image: Image) -> Race:
    def ask(way: Way) -> Load:
        target = way.target("manifests", TAG)
        if method == "GET":
            return stage.client.small_gets(way.server.port, target, CONNECTIONS, SECONDS, HEADERS)
        return stage.client.head(way.server.port, target, len(image.manifest), CONNECTIONS, SECONDS, HEADERS)

    title = f"warm {method} of a manifest by tag, {CONNECTIONS} connections"
    return _race(stage, ways, title, REQUESTS, lambda way: _timed(way, ask, REQUESTS))


def _race(stage: Stage, ways: Sequence[Way], title: str, unit: Unit, load: Callable[[Way], Work]) -> Race:
    samples = interleave(ways, stage.rounds, stage.order, lambda way, _round: load(way))
    peaks = {way.label: way.server.peak_rss() for way in ways}
    return Race(title, unit, ways[0].label, samples, peaks)


def _timed(way: Way, load: Callable[[Way], Load], unit: Unit) -> Work:
    return timed(way.server, lambda: load(way), lambda done: done.bytes if unit is BYTES else done.requests)
