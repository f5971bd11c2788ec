"""Run all cases, or those whose name contains a word: one line each, then the counts."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from tests.live.tools import install
from tests.logins.bench import Case
from tests.oidc import dex, dexcases
from tests.oidc.bench import Bench, Browser, install_modules
from tests.oidc.cases import cases
from tests.oidc.engines import PROGRAMS

_PORT = 24500


def main() -> int:
    """Run the suite and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.oidc", description=__doc__)
    parser.add_argument("--only", default="", help="run only the cases whose name contains this")
    parser.add_argument("--port", type=int, default=_PORT, help="the first of ten ports that are free")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a stopped suite leaves nothing behind either
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        if name.lower() != "npm_config_proxy":
            os.environ.setdefault("no_proxy", "localhost,127.0.0.1")
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-oidc-"))
    counts = [0, 0]
    try:
        install(["node", "npm", "chromium", *PROGRAMS])
        node = install_modules(scratch)
        dex.build(scratch / "dex")
        browser = Browser(node, shutil.which("chromium") or "chromium", scratch / "browser.log")
        try:
            bench = Bench(scratch, options.port, node, browser)
            for case in [*cases(bench), *dexcases.cases(bench)]:
                if options.only in case.name:
                    counts[_try(case)] += 1
        finally:
            browser.stop()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{counts[0]} passed, {counts[1]} failed")
    return 1 if counts[1] or not counts[0] else 0


def _try(case: Case) -> bool:
    began = time.monotonic()
    failure: Exception | None = None
    try:
        case.trial()
    except Exception as error:  # whatever it is, it is this case's failure and no other's
        failure = error
    print(f"{'FAIL' if failure else 'ok':4} {case.name:100} {time.monotonic() - began:6.1f} s", flush=True)
    if failure is not None:
        print(textwrap.indent(f"{type(failure).__name__}: {failure}"[:3000], "     | "), flush=True)
    return failure is not None


if __name__ == "__main__":
    sys.exit(main())
