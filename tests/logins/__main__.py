"""Run all groups of cases, or those named: one line each, then the counts."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from tests.logins.bench import Bench, Case

GROUPS = ["backends", "tokens"]
_PORT = 24400


def main() -> int:
    """Run the suite and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.logins", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=", ".join(GROUPS))
    parser.add_argument("--only", default="", help="run only the cases whose name contains this")
    parser.add_argument("--port", type=int, default=_PORT, help="the first of ten ports that are free")
    options = parser.parse_args()
    if unknown := set(options.groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a stopped suite leaves nothing behind either
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        del os.environ[name]
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-logins-"))
    counts = [0, 0]
    try:
        bench = Bench(scratch, options.port)
        for group in options.groups or GROUPS:
            _run_group(group, bench, options.only, counts)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return 1 if counts[1] or not counts[0] else 0


def _run_group(group: str, bench: Bench, only: str, counts: list[int]) -> None:
    """Run its cases, each with services that have forgotten the one before."""
    for case in importlib.import_module(f"tests.logins.group_{group}").cases(bench):
        if only in case.name:
            failed = _try(group, case, bench)
            counts[failed] += 1


def _try(group: str, case: Case, bench: Bench) -> bool:
    began = time.monotonic()
    failure: Exception | None = None
    try:
        for service in bench.services:
            service.start()
        case.trial()
    except Exception as error:  # whatever it is, it is this case's failure and no other's
        failure = error
    finally:
        for service in bench.services:
            service.kill()
    print(
        f"{'FAIL' if failure else 'ok':4} {group + ': ' + case.name:90} {time.monotonic() - began:6.1f} s", flush=True
    )
    if failure is not None:
        print(textwrap.indent(f"{type(failure).__name__}: {failure}"[:3000], "     | "), flush=True)
    return failure is not None


if __name__ == "__main__":
    sys.exit(main())
