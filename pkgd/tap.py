"""The service behind all three doors: `pkgd serve`, `twistd pkgd` and `pkgd.tac`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin
from twisted.python import usage
from zope.interface import implementer

from pkgd.config import load
from pkgd.config.reloading import ConfigFile
from pkgd.daemon import Daemon
from pkgd.sdnotify import ServiceManager, watchdog_interval

__all__ = ["Maker", "Options", "makeService"]

# Names that are looked up at the same time.
LOOK_UPS = 32


class Options(usage.Options):
    """The options of `twistd pkgd` and `pkgd serve`."""

    optParameters = [["config", "c", None, "The configuration file; without one, defaults for a first try."]]


def makeService(options: Options, announce: Callable[[str], None] = lambda url: None, loop: Any = None) -> Daemon:
    """The daemon for these options.

    :param loop: the reactor, if not the process's own.
    :raises ConfigError: if the configuration cannot be used.
    """
    if loop is None:
        from twisted.internet import reactor

        loop = reactor
    # Names are looked up in the reactor's own threads, for nothing else: a slow one must not hold up the rest.
    loop.suggestThreadPoolSize(LOOK_UPS)
    source = ConfigFile(options["config"], os.environ, load)
    manager = _service_manager(loop)

    def ready(url: str) -> None:
        announce(url)
        manager.ready(url)

    def stopping() -> None:
        _next_signal_kills()
        manager.stopping(daemon.patience)

    daemon = Daemon(loop, source.read(), announce=ready, stopping=stopping, source=source)

    def reload() -> None:
        manager.reloading()
        daemon.reload().addCallback(lambda _: manager.reloaded())

    loop.callWhenRunning(signal.signal, signal.SIGHUP, lambda *_: loop.callFromThread(reload))
    return daemon


def _service_manager(loop: Any) -> ServiceManager:
    """Who has started us, and wants to be told how we are."""
    # systemd knows the single executable by its parent process.
    pids = (os.getpid(), os.getppid())
    return ServiceManager(loop, os.environ.get("NOTIFY_SOCKET"), watchdog_interval(os.environ, pids))


def _next_signal_kills() -> None:
    """The first signal has begun an orderly stop; who sends a second doesn't want to wait."""
    for one in (signal.SIGTERM, signal.SIGINT):
        signal.signal(one, signal.SIG_DFL)


@implementer(IPlugin, IServiceMaker)
class Maker:
    """The plug-in that `twistd` finds."""

    tapname = "pkgd"
    description = "An OCI registry, a pull-through mirror, and apt and rpm repositories."
    options = Options

    def makeService(self, options: Options) -> Daemon:
        """See `IServiceMaker.makeService`."""
        return makeService(options)
