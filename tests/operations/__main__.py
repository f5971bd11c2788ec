"""Signals under load: `python -m tests.operations [--rounds N]`. A line for each part, and the counts at the end."""

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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.operations import reloads, stops
from tests.operations.handover import restarts
from tests.operations.server import DOORS

# Most of each part is waiting for a process.
_AT_ONCE = 2

Part = Callable[[Path, random.Random], Coroutine[Any, Any, list[str]]]


def parts(rounds: int) -> dict[str, Part]:
    """What is tried, each in a directory of its own."""
    return {
        "SIGTERM under load loses no request, and nothing acknowledged": lambda place, chance: stops.under_load(
            place, rounds, chance
        ),
        "broken and good configurations under load": reloads.under_load,
        "restarts with a socket that somebody else keeps": lambda place, chance: restarts(
            place, (rounds + 1) // 2, chance
        ),
        "a client that never ends is cut": lambda place, _: stops.endless(place),
        "two signals at once are one, a later one hurries": lambda place, _: stops.two_signals(place),
        "SIGTERM during the start": lambda place, _: stops.early(place, len(DOORS) * ((rounds + 2) // 4)),
    }


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.operations")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="pkgd-operations-"))
    print(f"seed {options.seed}, in {directory}")

    def run(number: int, name: str, part: Part) -> bool:
        began = time.monotonic()
        try:
            failures = asyncio.run(part(directory / str(number), random.Random(options.seed + number)))
        except Exception as error:
            failures = [repr(error)]
        said = [f"{'FAILED' if failures else 'ok'}: {name} ({time.monotonic() - began:.1f} s)", *failures[:15]]
        print("\n  ".join(said), flush=True)
        return not failures

    chosen = [(at, name, part) for at, (name, part) in enumerate(parts(options.rounds).items()) if options.only in name]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        results = list(pool.map(lambda one: run(*one), chosen))
    failed = results.count(False)
    if not failed:
        shutil.rmtree(directory)
    print(f"{results.count(True)} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
