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
from pathlib import Path
from typing import Any

from tests.operations import reloads
from tests.operations.handover import restarts
from tests.operations.stops import early, endless, two_signals, under_load


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.operations")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    directory, chance = Path(tempfile.mkdtemp(prefix="pkgd-operations-")), random.Random(options.seed)
    print(f"seed {options.seed}, in {directory}")
    parts: dict[str, Callable[[Path], Coroutine[Any, Any, list[str]]]] = {
        "SIGTERM under load loses no request, and nothing acknowledged": lambda place: under_load(
            place, options.rounds, chance
        ),
        "a client that never ends is cut": endless,
        "two signals at once are one, a later one hurries": two_signals,
        "broken and good configurations under load": lambda place: reloads.under_load(place, chance),
        "restarts with a socket that somebody else keeps": lambda place: restarts(
            place, max(options.rounds // 2, 1), chance
        ),
        "SIGTERM during the start": lambda place: early(place, 6),
    }
    failed = passed = 0
    for number, (name, part) in enumerate(parts.items()):
        if options.only not in name:
            continue
        began = time.monotonic()
        try:
            failures = asyncio.run(part(directory / str(number)))
        except Exception as error:
            failures = [repr(error)]
        failed += bool(failures)
        passed += not failures
        print(f"{'FAILED' if failures else 'ok'}: {name} ({time.monotonic() - began:.1f} s)")
        for one in failures[:15]:
            print(f"  {one}")
    if not failed:
        shutil.rmtree(directory)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
