"""The daemon's life: a configuration in, one service out. What it consists of, `pkgd.composition` makes.

Start: lock the state, listen, prepare the storage, then `/ready`. Stop: `/ready` says no and every answer is its
connection's last, wait for load balancers, stop listening, let requests finish, drop what is left, let publishes
finish, close.
"""

from __future__ import annotations

import gc
import os
import resource
import stat
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory

from pkgd.admin.server import AdminSocket
from pkgd.authentication import Authentication
from pkgd.built import built
from pkgd.composition import compose
from pkgd.config import Config, hints
from pkgd.config.reloading import ConfigFile
from pkgd.errors import ConfigError, PkgdError
from pkgd.listening import Listening
from pkgd.locking import lock_state
from pkgd.outbound.settings import Limits
from pkgd.packages.staging import start_reserve
from pkgd.patience import Patience
from pkgd.recurring import Recurring
from pkgd.reloading import CONFIGURATION_INTERVAL, Reloading
from pkgd.sharing import Tasks
from pkgd.storage.fsops import FileSystem, storage_errors
from pkgd.watching import certificate_expiry, watch
from pkgd.web.health import Phase
from pkgd.web.request import Request
from pkgd.web.requestmetrics import RequestMetrics
from pkgd.web.site import Handler, Site
from pkgd.web.starting import Starting
from pkgd.web.tls import CertificateFiles

__all__ = ["Daemon"]

log = Logger()

# How long the stop waits for connections that it has dropped.
ABORT_SECONDS = 1.0


class Daemon(Service):
    """pkgd as a Twisted service.

    :param announce: called once with the daemon's base URL, when it is ready.
    :param stopping: called when the stop begins.
    :param outbound: how patient to be with upstreams.
    """

    name = "pkgd"

    def __init__(
        self,
        reactor: Any,
        config: Config,
        fs: FileSystem | None = None,
        announce: Callable[[str], None] = lambda url: None,
        stopping: Callable[[], None] = lambda: None,
        outbound: Limits = Limits(),  # noqa: B008 - it is frozen
        source: ConfigFile | None = None,
    ) -> None:
        self._reactor = reactor
        self._announce = announce
        self._stopping = stopping
        self._listening = Listening(reactor)
        self._patience = Patience(reactor)
        self._tasks = Tasks()
        self._lock_fd: int | None = None
        parts = self._parts = compose(reactor, config, fs or FileSystem(), self._tasks, outbound)
        self._present = parts.present
        self._readiness = parts.readiness
        self._packages = parts.packages
        self._admin = AdminSocket(
            reactor,
            str(config.state_dir),
            {
                "gc": parts.upkeep.collect,
                "scrub": parts.scrubbing.scrub,
                "retention": parts.retaining.retain,
            },
            self._tasks,
            parts.readiness.is_draining,
        )
        requests = RequestMetrics(reactor.seconds)
        limits = parts.present.serving.http_limits
        self._site = Site(reactor, parts.blocking, limits, self._route, parts.access_log, requests.record)
        self._starting = Starting(reactor, self._site)
        self._lag = watch(reactor, parts.mirror.metrics, requests, self._site, parts.blocking)
        self._start_reserve = start_reserve(parts.packages.tree)
        self._recurring = Recurring(reactor, parts, self._tasks, self._start_reserve.keep)
        self._reloading = Reloading(reactor, parts, self._tasks, self._site, self._recurring, source)

    def _route(self, request: Request) -> Handler:
        return self._starting.instead_of(self._present.serving.root.route(request))

    @property
    def patience(self) -> float:
        """How long the stop may take that begins now, in seconds."""
        shutdown = self._config.server.shutdown
        return shutdown.delay + shutdown.drain

    def reload(self) -> Deferred[None]:
        """SIGHUP: see `Reloading.reload`."""
        return self._reloading.reload()

    @property
    def _config(self) -> Config:
        return self._present.serving.config

    @property
    def _authentication(self) -> Authentication:
        return self._present.serving.authentication

    # -- the start --

    def startService(self) -> None:
        """Lock, open, listen; the rest of the start goes on in the background.

        :raises PkgdError: if the daemon cannot run like this.
        """
        Service.startService(self)
        _raise_file_limit()
        with self._start_reserve.given_up():
            self._open_state()
            self._listen()
        self._starting.begin()
        # Last: threads would keep a process whose start has failed alive.
        self._parts.blocking.start()
        self._lag.start()
        self._authentication.start()
        self._parts.database.start()
        self._tasks.start("start", self._prepare())

    def _open_state(self) -> None:
        """Make and lock the state directory, and open what is in it."""
        state = str(self._config.state_dir)
        try:
            for path in (state, self._parts.tree.root):
                os.makedirs(path, mode=0o750, exist_ok=True)
                if os.stat(path).st_mode & stat.S_IWOTH:
                    raise ConfigError("state_dir", f"{path} may be written by everybody: chmod o-w it")
            self._lock_fd = lock_state(state)
            self._parts.database.open()
            self._authentication.open()
            self._parts.access_log.open()
            self._parts.audit_log.open()
        except OSError as error:
            raise ConfigError("state_dir", f"{error.filename or state}: {error.strerror}") from error

    def _listen(self) -> None:
        """Listen on every endpoint; with certificate files, all of them speak TLS.

        :raises ConfigError: if one cannot be.
        """
        factory: Any = self._site
        tls = self._config.server.tls
        if tls.certificate is not None and tls.key is not None:
            certificates = self._present.certificates = CertificateFiles(tls.certificate, tls.key)
            metrics = self._parts.mirror.metrics
            metrics.sampled(certificate_expiry(metrics, certificates))
            factory = TLSMemoryBIOFactory(certificates, False, self._site, clock=self._reactor)
        self._listening.open(self._config.server.listen, factory)

    async def _prepare(self) -> None:
        """Bring the storage into a known state, then serve."""
        async with self._reloading.turn:
            try:
                await self._parts.blocking.disk(self._prepare_storage)
            except PkgdError as error:
                log.error("the storage cannot be written: {why}; content that is there is served", why=error.message)
            await self._recurring.read_keys()
            await self._recurring.keep_reserves()
            await self._start_packages()
            await self._readiness.probe()
            if self._readiness.is_draining():
                return
            self._readiness.phase = Phase.SERVING
        self._serve()

    def _serve(self) -> None:
        """Say that requests are answered, and begin with what recurs."""
        self._starting.end()
        # What has been made so far stays; the collector need not walk it again and again.
        gc.freeze()
        log.info("pkgd {version} serves {url}", version=built().version, url=self._url())
        for hint in hints(self._config, os.environ):
            log.warn("{hint}", hint=hint)
        self._admin.listen()
        self._announce(self._url())
        self._recurring.start()
        self._tasks.start("issuers", self._authentication.federation.look())
        self._recurring.every("configuration", CONFIGURATION_INTERVAL, self._reloading.look)

    def _prepare_storage(self) -> None:
        with storage_errors():
            if not self._parts.database.was_clean:
                # What a killed process had made visible but not yet durable becomes durable now, so
                # that from here on everything that is visible is.
                for tree in (self._parts.tree, self._packages.tree):
                    if tree.fs.scandir(tree.root):
                        tree.sync_all()
        self._parts.spool.prepare()
        self._packages.spool.prepare()

    async def _start_packages(self) -> None:
        """Find the signing keys, or make them, and publish what has never been published.

        What cannot be begun is no reason not to serve the rest; it is tried again with every probe.
        """
        for signer in self._packages.signers.values():
            await signer.start()
        await self._packages.start_waiting()

    def _url(self) -> str:
        scheme = "http" if self._present.certificates is None else "https"
        return f"{scheme}://{self._listening.address}"

    # -- the stop --

    def stopService(self) -> Deferred[None]:
        """Stop in order; the Deferred fires when everything is closed."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    def hurry(self) -> None:
        """Wait no more for load balancers and requests: whoever stops us has no time. What is begun is still ended."""
        self._patience.end()

    async def _stop(self) -> None:
        """Whatever goes wrong on the way: what is open is closed, or the process would not end."""
        self._stopping()
        self._readiness.phase = Phase.DRAINING
        self._site.leave()
        self._starting.give_up()
        try:
            await self._drain()
        except Exception:
            log.failure("the stop did not go in order")
        finally:
            self._close()

    async def _drain(self) -> None:
        """Let requests finish, and give up what the mirror is doing."""
        shutdown = self._config.server.shutdown
        await self._patience.wait(shutdown.delay)
        await self._admin.close()
        await self._listening.close()
        drained = self._site.drain()
        await self._patience.wait(shutdown.drain, drained)
        if not drained.called:
            log.warn("{count} connections are dropped: their requests take too long", count=self._site.abort())
            # Connections end on the next turn, which is when their requests are logged.
            await Patience(self._reactor).wait(ABORT_SECONDS, drained)
        self._recurring.wake()
        # What waits for an upstream must not hold up the stop until that has answered.
        self._parts.mirror.fills.give_up()
        await self._reloading.close()
        await self._parts.mirror.fills.finished()
        await self._tasks.finished()
        # Publishes belong to nobody, and end what they have begun.
        await self._packages.finished()
        await self._parts.mirror.ledger.flush()
        await self._authentication.flush()

    def _close(self) -> None:
        with ExitStack() as closing:
            # In the reverse order, each whatever becomes of the others.
            if self._lock_fd is not None:
                closing.callback(os.close, self._lock_fd)
                closing.callback(self._start_reserve.take_what_is_left)
            closing.callback(self._parts.access_log.close)
            closing.callback(self._parts.audit_log.close)
            closing.callback(self._parts.blocking.stop)
            # After the accounts, whose end may free what the mark of a clean stop takes on a full disk.
            closing.callback(self._parts.database.close)
            closing.callback(self._authentication.stop)
            closing.callback(self._site.halt)
            closing.callback(self._lag.stop)
        log.info("pkgd has stopped")


def _raise_file_limit() -> None:
    """Allow as many descriptors as the system grants: a connection takes one, and its file another."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:  # a service manager that has set both may have forbidden us to
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
