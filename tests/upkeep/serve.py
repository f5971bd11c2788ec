"""`python -m tests.upkeep.serve SECONDS -c CONFIGURATION`: pkgd with a grace that no configuration may have."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Mapping

from msgspec.structs import replace
from twisted.internet import reactor

from pkgd import logs
from pkgd.config import Config, load
from pkgd.config.reloading import ConfigFile
from pkgd.daemon import Daemon


def _load(path: str | None, environment: Mapping[str, str]) -> Config:
    config = load(path, environment)
    collection = replace(config.storage.gc, grace=float(sys.argv[1]))
    return replace(config, storage=replace(config.storage, gc=collection))


def main() -> None:
    """Serve until a signal stops it, as `pkgd serve` does."""
    source, loop = ConfigFile(sys.argv[3], os.environ, _load), reactor
    config = source.read()
    logs.begin(config.logging.level, config.logging.format)
    daemon = Daemon(loop, config, source=source)
    daemon.startService()
    loop.callWhenRunning(signal.signal, signal.SIGHUP, lambda *_: loop.callFromThread(daemon.reload))
    loop.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    loop.run()


if __name__ == "__main__":
    main()
