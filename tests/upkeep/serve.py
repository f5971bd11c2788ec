"""`python -m tests.upkeep.serve CONFIGURATION SECONDS`: pkgd with a grace that no configuration may have."""

from __future__ import annotations

import sys

from msgspec.structs import replace
from twisted.internet import reactor

from pkgd import logs
from pkgd.config import load
from pkgd.daemon import Daemon


def main() -> None:
    """Serve until a signal stops it, as `pkgd serve` does."""
    config, loop = load(sys.argv[1], {}), reactor
    collection = replace(config.storage.gc, grace=float(sys.argv[2]))
    config = replace(config, storage=replace(config.storage, gc=collection))
    logs.begin(config.logging.level, config.logging.format)
    daemon = Daemon(loop, config)
    daemon.startService()
    loop.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    loop.run()


if __name__ == "__main__":
    main()
