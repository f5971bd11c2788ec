"""kill -9 under load, many rounds: `python -m tests.crash [--rounds N] [--seed N] [--server NAME]`.

Sixteen clients push in every way the protocol knows; at a random moment the server is killed and started again;
then all that was acknowledged must be there, and every upload session must go on where it stood.
The choices follow from the seed; how far each push has come at the kill does not.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.crash.rounds import Rounds
from tests.crash.server import SERVERS, NotReady, Server

_PORT = 23100
_FAILURES_SHOWN = 10
_FAILURE_LENGTH = 2000


def main() -> int:
    """Run the rounds; returns the exit status."""
    options = _parse_options()
    directory = Path(tempfile.mkdtemp(prefix="pkgd-crash-", dir=options.directory))
    server = SERVERS[options.server](options.port, directory / "state", directory / "logs")
    print(f"seed {options.seed}, {options.rounds} rounds, {options.server} on port {options.port}, in {directory}")
    try:
        failed = asyncio.run(_run(server, options.rounds, options.seed))
    except NotReady as error:
        print(f"{error}\n0 passed, 1 failed")
        failed = 1
    finally:
        if server.is_running():
            server.kill()
            server.wait()
    if not failed:
        shutil.rmtree(directory)
    return 1 if failed else 0


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.crash", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rounds", type=int, default=200, help="how often the server is killed")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32), help="for the random choices")
    parser.add_argument("--server", choices=sorted(SERVERS), default="pkgd", help="the server under test")
    parser.add_argument("--port", type=int, default=_PORT)
    parser.add_argument("--directory", type=Path, default=None, help="where the state is kept during the run")
    return parser.parse_args()


async def _run(server: Server, count: int, seed: int) -> int:
    began = time.monotonic()
    server.start()
    rounds = Rounds(server, seed)
    failed = 0
    for number in range(1, count + 1):
        failed += _report(f"round {number}", await rounds.one(number))
    failed += _report("at the end, everything", await rounds.everything())
    _print_figures(rounds, time.monotonic() - began)
    print(f"{count + 1 - failed} passed, {failed} failed")
    return failed


def _report(title: str, failures: list[str]) -> int:
    if not failures:
        return 0
    print(f"{title}: {len(failures)} failures")
    for failure in failures[:_FAILURES_SHOWN]:
        print(f"  {failure[:_FAILURE_LENGTH]}")
    sys.stdout.flush()
    return 1


def _print_figures(rounds: Rounds, seconds: float) -> None:
    figures, memory = rounds.figures, rounds.memory
    print(f"acknowledged: {dict(figures.acknowledged)}; in flight at a kill: {dict(figures.in_flight)}")
    print(f"sessions resumed: {figures.resumed}, cancelled: {figures.cancelled}, still open: {len(memory.sessions)}")
    blobs = f"{len(memory.blobs)} blobs ({sum(memory.blobs.values()) / 1e6:.0f} MB)"
    print(f"kept: {blobs}, {len(memory.manifests)} manifests, {len(memory.tags)} tags")
    times = sorted(figures.ready_times)
    print(f"ready after a kill: median {times[len(times) // 2]:.2f} s, worst {times[-1]:.2f} s")
    print(f"{figures.checks} checks in {seconds:.0f} s")


if __name__ == "__main__":
    sys.exit(main())
