"""The service behind all three doors: `pkgd serve`, `twistd pkgd` and `pkgd.tac`."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from twisted.application.service import IServiceMaker, MultiService
from twisted.plugin import IPlugin
from twisted.python import usage
from zope.interface import implementer

from pkgd.config import load
from pkgd.config.reloading import ConfigFile
from pkgd.daemon import Daemon
from pkgd.errors import PkgdError
from pkgd.sdnotify import ServiceManager, watchdog_interval
from pkgd.signals import Signals

__all__ = ["Maker", "Options", "makeService", "service_for_twistd"]

# Names that are looked up at the same time.
LOOK_UPS = 32


class Options(usage.Options):
    """The options of `twistd pkgd` and `pkgd serve`."""

    optParameters = [["config", "c", None, "The configuration file; without one, defaults for a first try."]]


def makeService(
    options: Options,
    announce: Callable[[str], None] = lambda url: None,
    loop: Any = None,
    signals: Signals | None = None,
) -> Daemon:
    """The daemon for these options, which obeys signals once the reactor runs.

    :param loop: the reactor, if not the process's own.
    :param signals: those that are listened to already.
    :raises ConfigError: if the configuration cannot be used.
    """
    if signals is None:
        signals = Signals()
        signals.listen()
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

    daemon = Daemon(
        loop, source.read(), announce=ready, stopping=lambda: manager.stopping(daemon.patience), source=source
    )

    def reload() -> None:
        manager.reloading()
        daemon.reload().addCallback(lambda _: manager.reloaded())

    loop.callWhenRunning(signals.obey, loop, daemon.hurry, reload)
    return daemon


def service_for_twistd(options: Options) -> MultiService:
    """The daemon, where twistd runs it: what hinders its start is said in one sentence, and the exit status is 1."""
    service = _ForTwistd()
    try:
        makeService(options).setServiceParent(service)
    except PkgdError as error:
        raise SystemExit(f"pkgd: {error.message}") from None
    return service


class _ForTwistd(MultiService):
    """See `service_for_twistd`."""

    def startService(self) -> None:
        """See `IService.startService`."""
        try:
            super().startService()  # type: ignore[no-untyped-call]
        except PkgdError as error:
            raise SystemExit(f"pkgd: {error.message}") from None


def _service_manager(loop: Any) -> ServiceManager:
    """Who has started us, and wants to be told how we are."""
    # systemd knows the single executable by its parent process.
    pids = (os.getpid(), os.getppid())
    return ServiceManager(loop, os.environ.get("NOTIFY_SOCKET"), watchdog_interval(os.environ, pids))


@implementer(IPlugin, IServiceMaker)
class Maker:
    """The plug-in that `twistd` finds."""

    tapname = "pkgd"
    description = "An OCI registry, a pull-through mirror, and apt and rpm repositories."
    options = Options

    def makeService(self, options: Options) -> MultiService:
        """See `IServiceMaker.makeService`."""
        return service_for_twistd(options)
