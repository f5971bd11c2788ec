"""kill -9 and power cuts of package repositories: `python -m tests.crash.packages [--states N] [--rounds N]`.

Clients upload, copy and delete, and keys are rotated. After each kill, and for each state that a power cut could have
left on the disk, the repositories are started: they have to be whole, signed by keys of key.asc, and have what was
acknowledged. Last the same with a pkgd that fsyncs nothing, and with one that fsyncs no directories: those runs must
lose something, or this test would prove nothing. Root only.
"""

from __future__ import annotations

import argparse
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
from tests.crash.packages.judge import judge
from tests.crash.packages.ledger import PackageLedger
from tests.crash.packages.load import Load
from tests.crash.packages.server import ForgetfulPackages, HastyPackages, PackagePkgd, Unserved
from tests.crash.powercut import RECORDING_OPTIONS, make_image
from tests.crash.replay import Cut, Replay, choose_cuts
from tests.crash.server import NotReady
from tests.debian import install

_PORT = 23400
_CONTROL_STATES = 25
_SHOWN = 10


@dataclass
class Tally:
    """What passed and what failed."""

    passed: int = 0
    failed: int = 0
    faults: list[str] = field(default_factory=list)

    def note(self, title: str, faults: list[str]) -> None:
        """Count one state or round."""
        self.passed += not faults
        self.failed += bool(faults)
        self.faults += [f"{title}: {one}" for one in faults[:2]]


@dataclass(frozen=True)
class Recording:
    """A run on the disk: the disk before it, what it was told, and what clients were told."""

    image: bytearray
    records: list[Record]
    ledger: PackageLedger


def main() -> int:
    """Run everything; returns the exit status."""
    options = _parse_options()
    if os.geteuid() != 0:
        print("power cuts need root, for loop mounts\n0 passed, 1 failed")
        return 1
    for program, package in (("mkfs.ext4", "e2fsprogs"), ("gpgv", "gpgv"), ("gpg", "gnupg")):
        if shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            install([package])
    directory = Path(tempfile.mkdtemp(prefix="pkgd-crash-packages-"))
    print(f"seed {options.seed}, {options.rounds} kills, {options.states} power cuts, in {directory}", flush=True)
    total = Tally()
    try:
        for part in (_kills, _cuts, _controls):
            found = part(directory / part.__name__.strip("_"), options)
            total.passed += found.passed
            total.failed += found.failed
    except NotReady as error:
        print(error)
        total.failed += 1
    if not total.failed:
        shutil.rmtree(directory)
    print(f"{total.passed} passed, {total.failed} failed")
    return 1 if total.failed else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.packages", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=10, help="how often the server is killed")
    parser.add_argument("--states", type=int, default=90, help="how many power cuts are replayed")
    parser.add_argument("--boots", type=int, default=6, help="on how many of them the server itself is started")
    parser.add_argument("--seconds", type=float, default=2.0, help="how long clients work between rotations of keys")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="for the random choices")
    parser.add_argument("--port", type=int, default=_PORT)
    return parser.parse_args()


# -- kill -9 --


def _kills(directory: Path, options: argparse.Namespace) -> Tally:
    server = PackagePkgd(options.port, directory / "state", directory / "logs")
    ledger, tally, rng = PackageLedger(), Tally(), random.Random(options.seed)
    server.start()
    try:
        for number in range(options.rounds):
            _note_keys(server, ledger)
            Load(server.web, ledger, f"k{number}").run(rng.uniform(0.1, 1.0), server.kill)
            server.wait()
            if number % 3 == 2:
                server.key_command("rotate")
            server.start()
            faults = ledger.failures + _judge_served(server, ledger, directory / "judge")
            ledger.failures = []
            tally.note(f"kill {number + 1}", faults)
    finally:
        if server.is_running():
            server.stop()
    return _report("kill -9", tally, ledger)


def _note_keys(server: PackagePkgd, ledger: PackageLedger) -> None:
    """Keys that are shown to clients have been promised."""
    known = {one.thing for one in ledger.operations}
    for line in server.key_command("list").splitlines():
        state, fingerprint = line.split()[:2]
        if state == "signs" and ("key", fingerprint) not in known:
            ledger.acknowledge(ledger.begin(("key", fingerprint), True))


def _judge_served(
    server: PackagePkgd, ledger: PackageLedger, folder: Path, position: float = float("inf")
) -> list[str]:
    try:
        found = judge(server.web.get, folder)
    except Exception as error:  # whatever it is, it is this state's fault
        return [f"served: {type(error).__name__}: {error}", *server.new_crash_notices()]
    new_keys = frozenset(one for one in found if one[0] == "key" and one not in ledger.permitted(position))
    return ledger.broken(found - new_keys, position) + server.new_crash_notices()


# -- power cuts --


def _cuts(directory: Path, options: argparse.Namespace) -> Tally:
    return _try(PackagePkgd, directory, options, options.states, options.boots)


def _controls(directory: Path, options: argparse.Namespace) -> Tally:
    """Two that have to lose something."""
    tally = Tally()
    for control in (HastyPackages, ForgetfulPackages):
        broken = _try(control, directory / control.__name__, options, _CONTROL_STATES, 0).failed
        tally.note(control.__name__, [] if broken else ["nothing was lost, and should have been"])
    return tally


def _try(kind: type[PackagePkgd], directory: Path, options: argparse.Namespace, states: int, boots: int) -> Tally:
    directory.mkdir(parents=True)
    server = kind(options.port, directory / "disk" / "ext4" / "state", directory / "logs")
    recording = _record(server, directory, options)
    tally, rng, began = Tally(), random.Random(options.seed), time.monotonic()
    cuts = choose_cuts(recording.records, recording.ledger, states, rng)  # type: ignore[arg-type]
    booted = set(rng.sample(range(states), min(boots, states)))
    for number, (cut, disk) in enumerate(Replay(recording.image, recording.records, rng).states(cuts)):
        faults = _faults(server, disk, directory, recording.ledger, cut, number in booted)
        tally.note(f"{cut.kind} at {cut.position}", faults)
    flushes = sum(not isinstance(one, Write) for one in recording.records)
    print(
        f"{kind.__name__}: {len(recording.records)} records, {flushes} of them flushes; {states} states, {boots} served"
    )
    print(f"  {(time.monotonic() - began) / states * 1000:.0f} ms each")
    return _report(kind.__name__, tally, recording.ledger)


def _record(server: PackagePkgd, directory: Path, options: argparse.Namespace) -> Recording:
    """Clients work; a key is made and signs along; clients work; the first key is retired; clients work."""
    image = make_image(directory / "image")
    disk = RecordedDisk(image, directory / "log")
    ledger = PackageLedger(disk.position)
    with attached(disk, directory / "disk", RECORDING_OPTIONS):
        for number in range(3):
            server.start()
            try:
                _note_keys(server, ledger)
                Load(server.web, ledger, f"c{number}").run(options.seconds)
            finally:
                server.stop()
            _change_keys(server, ledger, number)
    if ledger.failures:
        raise NotReady(f"{len(ledger.failures)} requests went wrong, such as: {ledger.failures[0]}")
    return Recording(image, list(read_log(directory / "log")), ledger)


def _change_keys(server: PackagePkgd, ledger: PackageLedger, number: int) -> None:
    if number == 0:
        server.key_command("rotate")
        _note_keys(server, ledger)
    elif number == 1:
        first = next(one.thing for one in ledger.operations if one.thing[0] == "key")
        operation = ledger.begin(first, False)
        server.key_command("retire", first[1])
        ledger.acknowledge(operation)


def _faults(
    server: PackagePkgd, disk: Disk, directory: Path, ledger: PackageLedger, cut: Cut, is_served: bool
) -> list[str]:
    try:
        with attached(disk, directory / "disk"):
            if not is_served:
                return _judge_unserved(server, ledger, directory / "judge", cut.position)
            try:
                server.start()
                return _judge_served(server, ledger, directory / "judge", cut.position)
            except NotReady as error:
                return [str(error)]
            finally:
                server.stop()
    except subprocess.CalledProcessError as error:
        return [f"the file system can't be mounted: {error.stderr.decode(errors='replace').strip()}"]


def _judge_unserved(server: PackagePkgd, ledger: PackageLedger, folder: Path, position: int) -> list[str]:
    try:
        found = judge(Unserved(Path(server.command()[-1]), server.state).fetch, folder)
    except Exception as error:  # whatever it is, it is this state's fault
        return [f"{type(error).__name__}: {error}"]
    # One that was about to be promised, or that a start has made where none had been promised yet.
    new_keys = frozenset(one for one in found if one[0] == "key" and one not in ledger.permitted(position))
    return ledger.broken(found - new_keys, position)


def _report(title: str, tally: Tally, ledger: PackageLedger) -> Tally:
    acknowledged = sum(one.acknowledged is not None for one in ledger.operations)
    print(
        f"{title}: {acknowledged} of {len(ledger.operations)} changes acknowledged; {tally.failed} broken", flush=True
    )
    for fault in tally.faults[:_SHOWN]:
        print(f"  {fault[:400]}")
    return tally


if __name__ == "__main__":
    sys.exit(main())
