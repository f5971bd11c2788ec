"""Peak memory of fresh processes: under many pushes at once, and after one push of each of several sizes."""

import os

from attrs import asdict, frozen

from tests.bench import api
from tests.bench.figures import MIB, Bar, Outcome, Table
from tests.bench.servers import DockerRegistry, Server, running
from tests.bench.stage import Stage

REPOSITORY = "bench/memory"
PARALLEL = 50
PARALLEL_LIMIT_MIB = 160
GROWTH_LIMIT_MIB = 16


@frozen
class Peak:
    """What a fresh server's memory peaked at."""

    server: str
    blobs: int
    size: int
    seconds: float
    start_rss: int
    peak_rss: int


def parallel(stage: Stage) -> Outcome:
    """Push fifty blobs at once, to the server under test and to docker-registry, one after the other."""
    size = (16 if stage.quick else 64) * MIB
    servers = stage.lineup(DockerRegistry)
    peaks = [_push(stage, server, PARALLEL, size) for server in servers]
    stage.discard(servers)
    text = f"peak RSS of {stage.subject_label} under {PARALLEL} pushes of {size // MIB} MiB"
    bar = Bar(text, peaks[0].peak_rss / MIB, PARALLEL_LIMIT_MIB, at_least=False, unit=" MiB")
    return Outcome((_table(f"{PARALLEL} pushes at once", peaks),), (bar,), {"peaks": [asdict(peak) for peak in peaks]})


def sizes(stage: Stage) -> Outcome:
    """Push one blob of each size to a fresh server; the peaks should be alike."""
    peaks = [_fresh_push(stage, size * MIB) for size in (16, 64, 256 if stage.quick else 1024)]
    smallest, largest = peaks[0], peaks[-1]
    text = f"growth of the peak RSS from {smallest.size // MIB} MiB to {largest.size // MIB} MiB"
    growth = (largest.peak_rss - smallest.peak_rss) / MIB
    bar = Bar(text, growth, GROWTH_LIMIT_MIB, at_least=False, unit=" MiB")
    return Outcome((_table("one push to a fresh server", peaks),), (bar,), {"peaks": [asdict(peak) for peak in peaks]})


def _fresh_push(stage: Stage, size: int) -> Peak:
    server = stage.subject_server()
    peak = _push(stage, server, 1, size)
    stage.discard([server])
    return peak


def _push(stage: Stage, server: Server, count: int, size: int) -> Peak:
    blobs = [stage.content.blob(size) for _ in range(count)]
    os.sync()
    with running([server]):
        before = server.rss()
        load = stage.client.push(server.port, REPOSITORY, blobs, stage.content, "chunked")
        peak = Peak(server.label, count, size, load.seconds, before, server.peak_rss())
        api.check_blob(server.port, f"/v2/{REPOSITORY}/blobs/{blobs[-1].digest}", blobs[-1])
    return peak


def _table(title: str, peaks: list[Peak]) -> Table:
    columns = ("server", "blobs", "MiB each", "seconds", "MiB/s", "RSS at start MiB", "peak RSS MiB")
    return Table(title, columns, tuple(_row(peak) for peak in peaks))


def _row(peak: Peak) -> tuple[str, ...]:
    speed = peak.blobs * peak.size / MIB / peak.seconds
    memory = (f"{peak.start_rss / MIB:.0f}", f"{peak.peak_rss / MIB:.0f}")
    return (peak.server, str(peak.blobs), str(peak.size // MIB), f"{peak.seconds:.2f}", f"{speed:,.0f}", *memory)
