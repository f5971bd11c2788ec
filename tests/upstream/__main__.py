"""The mirror suite: `python -m tests.upstream [GROUP …] [--only TEXT]`.

First the matrix of faults, then the scenarios, group after group; some lines for each failure, the counts of each
group, and last the counts of all.
It runs in a network of its own, for which it needs root or user namespaces.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from pathlib import Path

from tests.debian import install
from tests.live.tools import CommandFailed
from tests.live.tools import install as install_programs
from tests.upstream import cell
from tests.upstream.bench import Bench
from tests.upstream.names import Names
from tests.upstream.suite import GROUPS, Suite


def main() -> int:
    """Run the suite; returns the exit status."""
    options = _parse_options()
    if options.inside:
        return asyncio.run(_run(options))
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-upstream-"))
    try:
        install_programs(["ip", "unshare"])
        if shutil.which("strace") is None:
            install(["strace"])
        status = cell.enter(scratch, sys.argv[1:])
    except (OSError, CommandFailed) as error:
        print(f"{error}\n0 passed, 1 failed")
        return 1
    if not status:
        shutil.rmtree(scratch)
    return status


def _parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.upstream", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("groups", nargs="*", metavar="group", help=", ".join(GROUPS))
    parser.add_argument("--only", default="", help="run only the cells and cases whose line contains this")
    parser.add_argument("--shown", type=int, default=40, help="how many failed cells to print")
    parser.add_argument("--verbose", action="store_true", help="a line for what has passed, too")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.groups) - set(GROUPS)
    if unknown:
        parser.error(f"no such group: {', '.join(sorted(unknown))}")
    options.groups = options.groups or list(GROUPS)
    return options


async def _run(options: argparse.Namespace) -> int:
    began = time.monotonic()
    has_v6 = cell.furnish(options.inside)
    names = Names()
    await names.open()
    bench = Bench(options.inside, names, has_v6)
    await bench.surroundings.open()
    suite = Suite(bench, options.only, options.shown, options.verbose)
    try:
        for group in options.groups:
            await suite.run(group)
    finally:
        await bench.surroundings.close()
        names.close()
    if not has_v6:
        print("this machine has no IPv6: nobody listened on such addresses")
    if suite.failed:
        print(f"what the mirrors left is in {options.inside}")
    print(f"took {time.monotonic() - began:.0f} s\n{suite.passed} passed, {suite.failed} failed")
    return 1 if suite.failed or not suite.passed else 0


if __name__ == "__main__":
    sys.exit(main())
