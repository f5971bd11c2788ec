"""Garbage collection, the scrub and retention with a real server: `python -m tests.upkeep [--operations N]`."""

from __future__ import annotations

import argparse
import secrets
import shutil
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.backup.__main__ import free_port
from tests.upkeep.flips import flips
from tests.upkeep.rules import rules
from tests.upkeep.soak import soak


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.upkeep")
    parser.add_argument("--operations", type=int, default=100_000)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    options = parser.parse_args()
    directory, seed = Path(tempfile.mkdtemp(prefix="pkgd-upkeep-")), options.seed
    print(f"seed {seed}, in {directory}")
    parts: dict[str, Callable[[Path], list[str]]] = {
        "flips": lambda place: flips(place, free_port(), options.flips, seed),
        "rules": lambda place: rules(place, free_port(), seed),
        "soak": lambda place: soak(place, free_port(), options.operations, 0, seed),
        "kills": lambda place: soak(place, free_port(), options.operations // 3, options.kills, seed),
    }
    failed = 0
    for name, part in parts.items():
        (directory / name).mkdir()
        failures = part(directory / name)
        failed += bool(failures)
        for one in failures[:10]:
            print(f"FAILED: {name}: {one}")
    if not failed:
        shutil.rmtree(directory)
    print(f"{len(parts) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
