"""The command `pkgd serve`: the daemon in the foreground."""

from __future__ import annotations

import faulthandler
import os
from typing import Any

from pkgd.commands.common import WithConfig
from pkgd.config import load
from pkgd.signals import Signals

__all__ = ["ServeOptions", "run"]

_FIRST_STEPS = """\
pkgd serves {url}, with its state in {state}

  push an image:     podman push --tls-verify=false IMAGE {host}/hello
  upload a package:  curl -fT FILE.deb {url}/apt/main/stable/main/    or: curl -fT FILE.rpm {url}/rpm/main/
  use it:            curl -fsS {url}/apt/main/stable.sources | sudo tee /etc/apt/sources.list.d/pkgd.sources
"""


class ServeOptions(WithConfig):
    """The command line."""


def run(options: Any) -> None:
    """Run the daemon until a signal stops it."""
    signals = Signals()
    signals.listen()  # before anything that takes time

    from twisted.internet import reactor

    from pkgd import logs
    from pkgd.tap import makeService

    loop: Any = reactor
    config = load(options["config"], os.environ)
    logs.begin(config.logging.level, config.logging.format)
    # Where systemd ends a daemon that is stuck, its log says where it was.
    faulthandler.enable()

    def announce(url: str) -> None:
        if not options["config"]:
            host = url.partition("://")[2]
            print(_FIRST_STEPS.format(url=url, host=host, state=config.state_dir), flush=True)

    daemon = makeService(options, announce, signals=signals)
    daemon.privilegedStartService()
    daemon.startService()
    loop.addSystemEventTrigger("before", "shutdown", daemon.stopService)
    loop.run()
