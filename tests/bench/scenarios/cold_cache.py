"""A cold page cache: many clients pull distinct large blobs from the disk while the health probe wants its answer.

An nginx with nothing else to do is probed at the same time: what it takes is the machine's doing, not the server's.
"""

import shutil
from collections.abc import Sequence
from pathlib import Path

from attrs import define, field

from tests.bench import pagecache
from tests.bench.client import Load
from tests.bench.content import Blob
from tests.bench.figures import GIB, MIB, Bar, Outcome, Table, Work, interleave, percentile
from tests.bench.probe import HealthProbe
from tests.bench.races import BYTES, Race
from tests.bench.servers import DockerRegistry, Nginx, Server, running
from tests.bench.stage import Stage, timed

REPOSITORY = "bench/cold"
CONTROL = "an idle nginx beside"
CLIENTS = 16
ROUNDS_PER_RACE = 5  # a race here takes as long as five elsewhere
LIMIT_MS = 50
STILL_CACHED = 0.01
SPARE_BYTES = GIB


class NotCold(Exception):
    """The disk has too little room, or its files stay in memory: the figures would be of something else."""


class NotHealthy(Exception):
    """A health probe got no 200."""


@define
class ColdPull:
    """The load on one server, and the health latencies seen under it."""

    stage: Stage
    blobs: Sequence[Blob]
    paths: Sequence[Path]
    control: Server
    latencies: dict[str, list[float]] = field(factory=dict)

    def __call__(self, server: Server, _round: int) -> Work:
        """Empty the cache, pull everything, and keep what the probe saw."""
        cached = pagecache.drop(self.paths)
        if cached > STILL_CACHED:
            raise NotCold(f"{cached:.0%} of the blobs stay in the page cache; is {self.stage.scratch} on a disk?")
        with self._probe(server) as probe, self._probe(self.control) as control:
            work = timed(server, lambda: self._fetch(server), lambda done: done.bytes)
        self._keep(server.label, probe)
        self._keep(f"{CONTROL} {server.label}", control)
        return work

    def _probe(self, server: Server) -> HealthProbe:
        return HealthProbe(server.port, server.health_target)

    def _keep(self, label: str, probe: HealthProbe) -> None:
        if probe.failures:
            raise NotHealthy(f"{label}: {len(probe.failures)} probes failed: {probe.failures[0]}")
        self.latencies.setdefault(label, []).extend(probe.latencies)

    def _fetch(self, server: Server) -> Load:
        targets = [f"/v2/{REPOSITORY}/blobs/{blob.digest}" for blob in self.blobs]
        return self.stage.client.get(server.port, targets, self.blobs[0].size, 1)


def run(stage: Stage) -> Outcome:
    """Let each server serve everything from the disk, in turns."""
    size = (64 if stage.quick else 1024) * MIB
    _insist_on_room(stage.scratch, CLIENTS * size + SPARE_BYTES)
    blobs = [stage.content.blob(size) for _ in range(CLIENTS)]
    servers, control = stage.lineup(DockerRegistry, Nginx), stage.server(Nginx, "control")
    pull = ColdPull(stage, blobs, [stage.content.file(blob) for blob in blobs], control)
    _place(servers, pull)
    with running([*servers, control]):
        samples = interleave(servers, max(1, stage.rounds // ROUNDS_PER_RACE), stage.order, pull, warm_up=False)
        peaks = {server.label: server.peak_rss() for server in servers}
    stage.discard([*servers, control])
    for path in pull.paths:
        path.unlink()
    title = f"cold GET of {CLIENTS} distinct blobs of {size // MIB} MiB"
    race = Race(title, BYTES, stage.subject_label, samples, peaks)
    return _outcome(race, pull.latencies)


def _insist_on_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise NotCold(f"{folder} has {free / GIB:.1f} GiB free, {needed / GIB:.1f} GiB are needed")


def _place(servers: Sequence[Server], pull: ColdPull) -> None:
    for server in servers:
        for blob, path in zip(pull.blobs, pull.paths, strict=True):
            server.place_blob(REPOSITORY, blob.digest, path)


def _outcome(race: Race, latencies: dict[str, list[float]]) -> Outcome:
    columns = ("server", "probes", "median ms", "p99 ms", "worst ms")
    labels = [label for server in race.labels() for label in (server, f"{CONTROL} {server}")]
    rows = tuple(_row(label, latencies[label]) for label in labels)
    health = Table("health answered meanwhile, asked every 20 ms", columns, rows)
    p99 = percentile(latencies[race.subject], 0.99) * 1000
    bar = Bar(f"p99 of {race.subject}'s health under cold pulls", p99, LIMIT_MS, at_least=False, unit=" ms")
    return Outcome((race.table(), health), (bar,), {race.title: race.raw(), "health_seconds": latencies})


def _row(label: str, latencies: list[float]) -> tuple[str, ...]:
    milliseconds = [latency * 1000 for latency in latencies]
    figures = (percentile(milliseconds, 0.5), percentile(milliseconds, 0.99), max(milliseconds))
    return (label, str(len(milliseconds)), *(f"{figure:.1f}" for figure in figures))
