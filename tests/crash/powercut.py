"""Power cuts at block level: `python -m tests.crash.powercut [--states N] [--seconds N] [--seed N]`. Root only.

pkgd keeps its state on an ext4 over a disk that logs every block write and flush; clients push, and each
acknowledgement is noted with the length of the log at that moment.
Then hundreds of disks are rebuilt as a power cut could have left them, mounted, and read: what was acknowledged
before the cut must be there.
Last the same with a pkgd that fsyncs nothing, and with one that fsyncs no directories: those runs must lose something,
or this test would prove nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

from tests.crash.blockdisk import Disk, RecordedDisk, attached
from tests.crash.blocklog import Record, Write, read_log
from tests.crash.inspector import Inspector
from tests.crash.ledger import Ledger, Promise
from tests.crash.load import Load
from tests.crash.pusher import Stock
from tests.crash.replay import Cut, Replay, choose_cuts, faults_of
from tests.crash.rounds import SHARED_TAGS
from tests.crash.server import ForgetfulPkgd, HastyPkgd, NotReady, Pkgd
from tests.crash.sessions import SessionCheck
from tests.debian import install

_PORT = 23200
_IMAGE_SIZE = 192 << 20
_JOURNAL_MEGABYTES = 8
_LARGEST_BLOB = 96 * 1024
_REPOSITORIES = ("team/app", "team/app/sub", "a/b/c/d", "solo")
RECORDING_OPTIONS = "commit=3600,noauto_da_alloc"
"""Nothing reaches the disk by itself: ext4 would hide a missing fsync for most of the time."""
_TREE = "state/oci"
_CONTROL_STATES = 50
_BOOTS = 10
_FAULTS_SHOWN = 10


class WorkloadFailed(Exception):
    """The server refused an honest push."""


@dataclass(frozen=True)
class Recording:
    """A run of the server on the disk: the disk before it, what the disk was told, and what clients were told."""

    image: bytearray
    records: list[Record]
    ledger: Ledger

    def summary(self) -> str:
        """Its figures, for people."""
        acknowledged = sum(operation.acknowledged is not None for operation in self.ledger.operations)
        flushes = sum(not isinstance(one, Write) for one in self.records)
        megabytes = sum(len(one.data) for one in self.records if isinstance(one, Write)) / 1e6
        writes = f"{len(self.records) - flushes} writes ({megabytes:.0f} MB), {flushes} flushes"
        return f"{acknowledged} acknowledged operations, {writes}"


@dataclass
class Outcome:
    """How many states kept the promise, how many broke it, and how."""

    kept: int = 0
    broken: int = 0
    booted: int = 0
    faults: list[str] = field(default_factory=list)

    def add(self, cut: Cut, faults: list[str]) -> None:
        """Count one state."""
        self.kept += not faults
        self.broken += bool(faults)
        self.faults += [f"{cut.kind} at {cut.position}: {fault}" for fault in faults[:2]]


def main() -> int:
    """Record and replay, with and without all the fsyncs; returns the exit status."""
    options = _parse_options()
    if os.geteuid() != 0:
        print("power cuts need root, for loop mounts\n0 passed, 1 failed")
        return 1
    if shutil.which("mkfs.ext4", path="/usr/sbin:/sbin") is None:
        install(["e2fsprogs"])
    directory = Path(tempfile.mkdtemp(prefix="pkgd-powercut-"))
    print(f"seed {options.seed}, {options.states} power cuts, in {directory}")
    try:
        passed, failed = _run(directory, options)
    except (NotReady, WorkloadFailed) as error:
        print(error)
        passed, failed = 0, 1
    shutil.rmtree(directory)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


def _run(directory: Path, options: argparse.Namespace) -> tuple[int, int]:
    """All power cuts of pkgd, and the two controls, which pass if they break something."""
    outcome = _try(Pkgd, directory / "durable", options, options.states, _BOOTS)
    passed, failed = outcome.kept, outcome.broken
    for control in (HastyPkgd, ForgetfulPkgd):
        outcome = _try(control, directory / control.__name__, options, _CONTROL_STATES, 0)
        passed += outcome.broken > 0
        failed += outcome.broken == 0
    return passed, failed


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.powercut", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--states", type=int, default=300, help="how many power cuts are replayed")
    parser.add_argument("--seconds", type=float, default=8.0, help="how long the clients push")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="for the random choices")
    parser.add_argument("--port", type=int, default=_PORT)
    return parser.parse_args()


def _try(kind: type[Pkgd], directory: Path, options: argparse.Namespace, states: int, boots: int) -> Outcome:
    """Record a run of this kind of server, replay cuts of it, and print the figures."""
    directory.mkdir()
    server = kind(options.port, directory / "disk" / "ext4" / "state", directory / "logs")
    recording = record(server, directory, options.seconds, options.seed)
    print(f"{kind.__name__}: {recording.summary()}")
    began = time.monotonic()
    outcome = replay(server, directory / "disk", recording, states, boots, random.Random(options.seed))
    milliseconds = (time.monotonic() - began) / states * 1000
    print(
        f"  {states} states, {outcome.booted} of them served again, {milliseconds:.0f} ms each: {outcome.broken} broken"
    )
    for fault in outcome.faults[: _FAULTS_SHOWN if boots else 2]:
        print(f"    {fault[:300]}")
    return outcome


def record(server: Pkgd, directory: Path, seconds: float, seed: int) -> Recording:
    """Run the server on a fresh disk under load.

    :raises WorkloadFailed: if a push went wrong.
    """
    image = make_image(directory / "image")
    disk = RecordedDisk(image, directory / "log")
    ledger = Ledger(disk.position)
    with attached(disk, directory / "disk", RECORDING_OPTIONS):
        server.start()
        try:
            stock = Stock(_REPOSITORIES, SHARED_TAGS, _LARGEST_BLOB)
            asyncio.run(Load(server.port, ledger, stock, f"{seed}").run(seconds))
        finally:
            server.stop()
    if ledger.failures:
        raise WorkloadFailed(f"{len(ledger.failures)} pushes went wrong, such as: {ledger.failures[0]}")
    return Recording(image, list(read_log(directory / "log")), ledger)


def make_image(path: Path) -> bytearray:
    """An empty ext4."""
    with path.open("wb") as image:
        image.truncate(_IMAGE_SIZE)
    options = ["-q", "-E", "lazy_itable_init=0,lazy_journal_init=0", "-J", f"size={_JOURNAL_MEGABYTES}"]
    subprocess.run(["/sbin/mkfs.ext4", *options, str(path)], check=True, capture_output=True)
    return bytearray(path.read_bytes())


def replay(server: Pkgd, directory: Path, recording: Recording, states: int, boots: int, rng: random.Random) -> Outcome:
    """Rebuild and check so many states; on some of them the server is started again."""
    outcome = Outcome()
    cuts = choose_cuts(recording.records, recording.ledger, states, rng)
    booted = set(rng.sample(range(states), min(boots, states)))
    for number, (cut, disk) in enumerate(Replay(recording.image, recording.records, rng).states(cuts)):
        promise = recording.ledger.promise(cut.position)
        faults = faults_of(disk, directory, _TREE, promise)
        if number in booted:
            faults += asyncio.run(_serve_again(server, disk, directory, promise))
            outcome.booted += 1
        outcome.add(cut, faults)
    return outcome


async def _serve_again(server: Pkgd, disk: Disk, directory: Path, promise: Promise) -> list[str]:
    """Start the server on the disk after the cut: it must tell true offsets, and have all that was promised."""
    inspector = Inspector(server.port)
    with attached(disk, directory):
        try:
            server.start()
            await SessionCheck(inspector, {}, server.tree, _REPOSITORIES, set(), orphans_allowed=True).inspect_spool()
            await inspector.inspect(promise.blobs, promise.manifests, promise.tags)
            await inspector.inspect_in_flight(promise)
            await inspector.inspect_referrers(promise.manifests)
        except NotReady as error:
            inspector.failures.append(str(error))
        finally:
            server.stop()
    return [f"served again: {failure}" for failure in inspector.failures + server.new_crash_notices()]


if __name__ == "__main__":
    sys.exit(main())
