"""Runs pkgd with less patience for upstreams than the configuration allows: `python -m tests.upstream.launch`.

It is `pkgd serve` in all else; a stalled upstream costs a case a second instead of half a minute.
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any

from pkgd import logs
from pkgd.config import load
from pkgd.daemon import Daemon
from pkgd.outbound.settings import Limits


def main() -> None:
    """Run the daemon until a signal stops it."""
    from twisted.internet import reactor

    parser = argparse.ArgumentParser(prog="python -m tests.upstream.launch")
    parser.add_argument("--config", required=True)
    parser.add_argument("--limits", type=json.loads, default={}, help="fields of pkgd.outbound.settings.Limits")
    options = parser.parse_args()
    loop: Any = reactor
    config = load(options.config, os.environ)
    logs.begin(config.logging.level, config.logging.format)
    daemon = Daemon(loop, config, outbound=Limits(**options.limits))
    daemon.privilegedStartService()
    daemon.startService()
    loop.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    loop.run()


if __name__ == "__main__":
    main()
