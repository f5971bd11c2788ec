"""Pushes of a large blob as clients do them: POST, one PATCH, PUT, the blob durable when the PUT is answered."""

import os
import time
from collections.abc import Sequence
from pathlib import Path

from attrs import frozen

from tests.bench import api
from tests.bench.client import Load
from tests.bench.content import Blob
from tests.bench.figures import GIB, MIB, Outcome, Work, interleave
from tests.bench.races import BYTES, Race
from tests.bench.servers import DockerRegistry, Server, running
from tests.bench.stage import Stage, timed

REPOSITORY = "bench/pushed"
TIMES_DOCKER_REGISTRY = 1.8
DISK = "disk alone"
PHASES = ("patch", "commit")
FRAMINGS = {"chunked": "PATCH chunked, as docker and podman", "length": "PATCH with Content-Length"}
LARGE_FILE = MIB


@frozen
class Disk:
    """Writes the same bytes to a file and syncs it: what the disk allows, to be seen beside the servers."""

    folder: Path
    block: bytes
    label: str = DISK

    def write(self, size: int) -> Work:
        """One file of this size."""
        before, began = time.process_time(), time.monotonic()
        with (self.folder / "plain").open("wb", buffering=0) as target:
            for _ in range(size // len(self.block)):
                target.write(self.block)
            os.fdatasync(target.fileno())
        work = Work(size, time.monotonic() - began, time.process_time() - before, {"patch": 0.0, "commit": 0.0})
        (self.folder / "plain").unlink()
        return work


def run(stage: Stage) -> Outcome:
    """Race the servers, and the bare disk, through both framings of the body."""
    size = GIB // 4 if stage.quick else GIB
    servers = stage.lineup(DockerRegistry)
    with running(servers):
        races = [_race(stage, servers, framing, size) for framing in FRAMINGS]
    stage.discard(servers)
    bars = tuple(race.bar(DockerRegistry.kind, TIMES_DOCKER_REGISTRY) for race in races)
    return Outcome(tuple(race.table() for race in races), bars, {race.title: race.raw() for race in races})


def _race(stage: Stage, servers: Sequence[Server], framing: str, size: int) -> Race:
    blobs = [stage.content.blob(size) for _ in range(stage.rounds + 1)]
    disk = Disk(stage.scratch, stage.content.block_path.read_bytes())

    def load(participant: Server | Disk, number: int) -> Work:
        os.sync()
        if isinstance(participant, Disk):
            return participant.write(size)
        return _push(stage, participant, blobs[number], framing, check=not number)

    participants: list[Server | Disk] = [*servers, disk]
    samples = interleave(participants, stage.rounds, stage.order, load)
    peaks = {server.label: server.peak_rss() for server in servers}
    title = f"push of {size // MIB} MiB, {FRAMINGS[framing]}"
    return Race(title, BYTES, stage.subject_label, samples, peaks, PHASES)


def _push(stage: Stage, server: Server, blob: Blob, framing: str, check: bool) -> Work:
    def send() -> Load:
        return stage.client.push(server.port, REPOSITORY, [blob], stage.content, framing)

    work = timed(server, send, lambda done: done.bytes)
    if check:
        api.check_blob(server.port, f"/v2/{REPOSITORY}/blobs/{blob.digest}", blob)
    reclaim(server)
    return work


def reclaim(server: Server) -> None:
    """Take large files away, so that the disk doesn't fill up and each push finds it as the one before did."""
    for path in server.folder.rglob("*"):
        if path.is_file() and path.stat().st_size >= LARGE_FILE:
            path.unlink()
