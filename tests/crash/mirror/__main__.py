"""Crash tests of the mirror: `python -m tests.crash.mirror [--rounds N] [--case NAME] [--seed N]`.

fills: kill -9 while content is on its way.
eviction: kill -9 while the cache, far too small for what is pulled, makes room again and again.
disk: a file system that is full; root only.
Each case counts its rounds or steps; the last line is their sum.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from pathlib import Path

from attrs import define

from tests.bench.upstream import Upstream
from tests.crash.mirror import eviction, fills, fulldisk
from tests.crash.mirror.catalogue import Catalogue
from tests.crash.mirror.server import MIRRORS, Mirror
from tests.crash.server import NotReady

_PORT = 23300
_FAILURES_SHOWN = 10
_FAILURE_LENGTH = 600


@define
class Tally:
    """What passed and what failed."""

    passed: int = 0
    failed: int = 0

    def note(self, title: str, failures: list[str]) -> None:
        """Count one round or step, and print what is wrong with it."""
        self.passed += not failures
        self.failed += bool(failures)
        if failures:
            print(f"{title}: {len(failures)} failures")
            for failure in failures[:_FAILURES_SHOWN]:
                print(f"  {failure[:_FAILURE_LENGTH]}")
        sys.stdout.flush()


def main() -> int:
    """Run the cases; returns the exit status."""
    options = _parse_options()
    directory = Path(tempfile.mkdtemp(prefix="pkgd-crash-mirror-", dir=options.directory))
    print(f"seed {options.seed}, {options.rounds} rounds, {options.server} on port {options.port}, in {directory}")
    tally = Tally()
    for name in options.case or CASES:
        _run(name, options, directory / name, tally)
    print(f"{tally.passed} passed, {tally.failed} failed")
    if not tally.failed:
        shutil.rmtree(directory)
    return 1 if tally.failed else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.mirror", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=20, help="how often the mirror is killed in each case")
    parser.add_argument("--case", action="append", choices=sorted(CASES), help="only this; may be repeated")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="for the random choices")
    parser.add_argument("--server", choices=sorted(MIRRORS), default="pkgd", help="the server under test")
    parser.add_argument("--port", type=int, default=_PORT, help="the first of five")
    parser.add_argument("--directory", type=Path, default=None, help="where the state is kept during the run")
    return parser.parse_args()


def _run(name: str, options: argparse.Namespace, directory: Path, tally: Tally) -> None:
    """One case with upstreams and a server of its own."""
    began = time.monotonic()
    kind = MIRRORS[options.server]
    upstreams = {host: Upstream(options.port + 2 + number) for number, host in enumerate(kind.hosts)}
    with ExitStack() as stack:
        for upstream in upstreams.values():
            stack.enter_context(upstream)
        server = kind(options.port, directory / "state", directory / "logs", upstreams)
        stack.callback(_end, server)
        try:
            asyncio.run(CASES[name](server, random.Random(f"{options.seed}/{name}"), options.rounds, tally))
        except NotReady as error:
            tally.note(name, [str(error)])
    print(f"{name}: {time.monotonic() - began:.0f} s")


def _end(server: Mirror) -> None:
    if server.is_running():
        server.kill()
        server.wait()


async def _fills(server: Mirror, rng: random.Random, count: int, tally: Tally) -> None:
    for upstream in server.upstreams.values():
        upstream.set_rate(fills.UPLINK)
    server.start()
    rounds = fills.FillRounds(server, Catalogue(server.upstreams, fills.REPOSITORIES, fills.LARGEST, rng))
    for number in range(1, count + 1):
        tally.note(f"fills, round {number}", await rounds.one())
    tally.note("fills, at the end, everything", await rounds.everything())
    figures, times = rounds.figures, sorted(rounds.figures.ready_times)
    print(f"{figures.pulls} pulls in {figures.requests} requests; {figures.cut} fills cut by {count} kills")
    print(f"ready after a kill: median {times[len(times) // 2]:.2f} s, worst {times[-1]:.2f} s")


async def _eviction(server: Mirror, rng: random.Random, count: int, tally: Tally) -> None:
    await eviction.run(server, rng, count, tally.note)


async def _disk(server: Mirror, rng: random.Random, count: int, tally: Tally) -> None:
    await fulldisk.run(server, rng, tally.note)


Case = Callable[[Mirror, random.Random, int, Tally], Coroutine[object, object, None]]
CASES: dict[str, Case] = {"fills": _fills, "eviction": _eviction, "disk": _disk}


if __name__ == "__main__":
    sys.exit(main())
