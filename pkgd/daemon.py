"""The daemon's life: a configuration in, one service out. What it consists of, `pkgd.composition` makes.

Start: lock the state, listen, prepare the storage, then `/ready`. Stop: `/ready` says no, wait for
load balancers, stop listening, let requests finish, drop what is left, close.
"""

from __future__ import annotations

import gc
import os
import resource
import stat
import time
from collections.abc import Callable, Coroutine
from contextlib import ExitStack
from functools import partial
from typing import Any

from twisted.application.service import Service
from twisted.internet import tcp
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from pkgd.admin.server import AdminSocket
from pkgd.authentication import Authentication
from pkgd.built import built
from pkgd.composition import Serving, compose
from pkgd.config import Config, hints
from pkgd.config.reloading import ConfigFile, keep_fixed
from pkgd.errors import ConfigError, NotReady, PkgdError
from pkgd.locking import lock_state
from pkgd.outbound.settings import Limits
from pkgd.packages.expiry import KeyExpiry
from pkgd.progress import Until
from pkgd.sharing import Tasks
from pkgd.storage.fsops import FileSystem, storage_errors
from pkgd.watching import certificate_expiry, watch
from pkgd.web.accepting import Accepting
from pkgd.web.api.keys import KeysApi
from pkgd.web.api.packages import ApiV1
from pkgd.web.auth.login import LoginApi
from pkgd.web.auth.token import TokenApi
from pkgd.web.health import Phase
from pkgd.web.packages.api import PackagesApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.request import Request
from pkgd.web.requestmetrics import RequestMetrics
from pkgd.web.site import Handler, Site
from pkgd.web.tls import CertificateFiles, load_context
from pkgd.web.transport import Transport

__all__ = ["Daemon"]

log = Logger()

# How often storage is probed, and changed certificates and expired uploads are looked for, in seconds.
PROBE_INTERVAL = 10.0
CERTIFICATE_INTERVAL = 10.0
EXPIRY_INTERVAL = 600.0
# How often uses of the mirror's cache are written down, and its limits looked at.
FLUSH_INTERVAL = 60.0
EVICTION_INTERVAL = 600.0
SWEEP_INTERVAL = 3600.0
# How often it is looked whether it is time to read again what could not be read.
SUSPECT_INTERVAL = 30.0
# How often the file of users is looked at, and whether it is time for a new key of tokens.
USERS_INTERVAL = 2.0
KEYS_INTERVAL = 3600.0
# How often a provider that cannot be asked is asked again; one that can is once an hour.
PROVIDER_INTERVAL = 10.0
# How many connections may wait to be accepted; the system has a limit of its own.
BACKLOG = 4096
# How often it is looked whether the configuration file has changed.
CONFIGURATION_INTERVAL = 10.0
# What a configuration has made is kept so long for the requests that began with it.
RETIRED_SECONDS = 60.0
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
        self._config = config
        self._announce = announce
        self._stopping = stopping
        self._ports: list[IListeningPort] = []
        self._tasks = Tasks()
        self._pauses: list[Deferred[None]] = []
        self._lock_fd: int | None = None
        self._certificates: CertificateFiles | None = None
        parts = compose(reactor, config, fs or FileSystem(), self._tasks, outbound)
        self._blocking = parts.blocking
        self._tree = parts.tree
        self._spool = parts.spool
        self._database = parts.database
        self._uploads = parts.uploads
        self._readiness = parts.readiness
        self._access_log = parts.access_log
        self._audit_log = parts.audit_log
        self._mirror = parts.mirror
        self._packages = parts.packages
        warn = config.signing.rotate_warn
        self._key_expiry = KeyExpiry(parts.packages.signers, reactor, warn, parts.mirror.metrics.key_expiry)
        self._admin = AdminSocket(
            reactor,
            str(config.state_dir),
            {
                "gc": parts.upkeep.collect,
                "scrub": parts.scrubbing.scrub,
                "retention": parts.retaining.retain,
            },
            self._tasks,
            self._is_stopping,
        )
        self._upkeep = parts.upkeep
        self._scrubbing = parts.scrubbing
        self._retaining = parts.retaining
        self._suspects = parts.suspects
        self._collecting = object()
        self._serving = parts.serving
        self._renew = parts.renew
        self._retired: list[tuple[float, Serving]] = []
        self._source = source
        self._reloading = DeferredLock()
        requests = RequestMetrics(reactor.seconds)
        limits = parts.serving.http_limits
        self._site = Site(reactor, parts.blocking, limits, self._route, parts.access_log, requests.record)
        self._lag = watch(reactor, parts.mirror.metrics, requests, self._site, parts.blocking)

    def _route(self, request: Request) -> Handler:
        handler = self._serving.root.route(request)
        if self._readiness.phase is Phase.STARTING and isinstance(
            handler, RegistryApi | PackagesApi | ApiV1 | KeysApi | TokenApi | LoginApi
        ):
            raise NotReady()
        return handler

    @property
    def patience(self) -> float:
        """How long the stop may take that begins now, in seconds."""
        shutdown = self._config.server.shutdown
        return shutdown.delay + shutdown.drain

    # -- the start --

    def startService(self) -> None:
        """Lock, open, listen; the rest of the start goes on in the background.

        :raises PkgdError: if the daemon cannot run like this.
        """
        Service.startService(self)
        _raise_file_limit()
        self._open_state()
        self._listen()
        # Last: threads would keep a process whose start has failed alive.
        self._blocking.start()
        self._lag.start()
        self._authentication.start()
        self._database.start()
        self._tasks.start("start", self._prepare())

    def _open_state(self) -> None:
        """Make and lock the state directory, and open what is in it."""
        state = str(self._config.state_dir)
        try:
            for path in (state, self._tree.root):
                os.makedirs(path, mode=0o750, exist_ok=True)
                if os.stat(path).st_mode & stat.S_IWOTH:
                    raise ConfigError("state_dir", f"{path} may be written by everybody: chmod o-w it")
            self._lock_fd = lock_state(state)
            self._database.open()
            self._authentication.open()
            self._access_log.open()
            self._audit_log.open()
        except OSError as error:
            raise ConfigError("state_dir", f"{error.filename or state}: {error.strerror}") from error

    def _listen(self) -> None:
        """Listen on every endpoint; with certificate files, all of them speak TLS.

        :raises ConfigError: if one cannot be.
        """
        factory: Any = self._site
        tls = self._config.server.tls
        if tls.certificate is not None and tls.key is not None:
            self._certificates = CertificateFiles(tls.certificate, tls.key)
            self._mirror.metrics.sampled(certificate_expiry(self._mirror.metrics, self._certificates))
            factory = TLSMemoryBIOFactory(self._certificates, False, self._site, clock=self._reactor)
        for description in self._config.server.listen:
            try:
                port = _result(serverFromString(self._reactor, description).listen(factory))
            except Exception as error:
                raise ConfigError("server.listen", f"{description}: {error}") from error
            if isinstance(port, tcp.Port):
                port.transport = Transport
                port.doRead = Accepting(port, self._reactor).do_read  # type: ignore[method-assign]
                # Twisted's 50 are too few for clients that all come at once: those beyond are reset.
                port.socket.listen(BACKLOG)
            self._ports.append(port)

    async def _prepare(self) -> None:
        """Bring the storage into a known state, then serve."""
        try:
            await self._blocking.disk(self._prepare_storage)
        except PkgdError as error:
            log.error("the storage cannot be written: {reason}; content that is there is served", reason=error.message)
        await self._keep_reserves()
        await self._start_packages()
        await self._authentication.look()
        await self._readiness.probe()
        if self._readiness.phase is not Phase.STARTING:
            return
        self._readiness.phase = Phase.SERVING
        # What has been made so far stays; the collector need not walk it again and again.
        gc.freeze()
        log.info("pkgd {version} serves {url}", version=built().version, url=self._url())
        for hint in hints(self._config, os.environ):
            log.warn("{hint}", hint=hint)
        self._admin.listen()
        self._announce(self._url())
        self._tasks.start("readiness", self._every(PROBE_INTERVAL, self._probe))
        self._tasks.start("upload expiry", self._every(EXPIRY_INTERVAL, self._expire))
        if self._certificates is not None:
            self._tasks.start("certificates", self._every(CERTIFICATE_INTERVAL, self._refresh_certificates))
        self._tasks.start("uses of the cache", self._every(FLUSH_INTERVAL, self._flush_uses))
        self._tasks.start("limits of the cache", self._every(EVICTION_INTERVAL, self._keep_limits))
        self._tasks.start("old generations", self._every(SWEEP_INTERVAL, self._sweep))
        self._start_collecting()
        self._tasks.start("scrub", self._scrub())
        self._tasks.start("retention", self._retain())
        self._tasks.start("suspects", self._every(SUSPECT_INTERVAL, self._look_at_suspects))
        self._tasks.start("users", self._every(USERS_INTERVAL, self._refresh_users))
        self._tasks.start("issuers", self._authentication.federation.look())
        self._tasks.start("keys of tokens", self._every(KEYS_INTERVAL, self._refresh_keys))
        self._tasks.start("provider", self._every(PROVIDER_INTERVAL, self._look_for_provider))
        self._tasks.start("configuration", self._every(CONFIGURATION_INTERVAL, self._look_for_configuration))

    def _prepare_storage(self) -> None:
        with storage_errors():
            if not self._database.was_clean:
                # What a killed process had made visible but not yet durable becomes durable now, so
                # that from here on everything that is visible is.
                for tree in (self._tree, self._packages.tree):
                    if tree.fs.scandir(tree.root):
                        tree.sync_all()
        self._spool.prepare()
        self._packages.spool.prepare()

    async def _start_packages(self) -> None:
        """Find the signing keys, or make them, and publish what has never been published.

        What cannot be begun is no reason not to serve the rest; it is tried again with every probe.
        """
        for signer in self._packages.signers.values():
            await signer.start()
        await self._packages.start_waiting()

    async def _keep_reserves(self) -> None:
        """Have something set aside, on each file system, for what deletes need where there is no space."""
        held = [await one.reserve.keep(self._blocking) for one in (self._spool, self._packages.spool)]
        self._mirror.metrics.storage_reserved(all(held))

    async def _probe(self) -> None:
        await self._readiness.probe()
        await self._keep_reserves()
        await self._packages.start_waiting()
        await self._close_retired()
        self._mirror.metrics.storage_free(await self._readiness.free())

    def _url(self) -> str:
        scheme = "http" if self._certificates is None else "https"
        host: Any = self._ports[0].getHost()
        return f"{scheme}://{getattr(host, 'host', 'localhost')}:{getattr(host, 'port', '')}"

    # -- what recurs --

    async def _every(
        self, interval: float, job: Callable[[], Coroutine[Any, Any, None]], goes_on: Callable[[], bool] = lambda: True
    ) -> None:
        """Do a job now and again until the stop; its failure is logged and it is done again."""
        while self._readiness.phase is not Phase.DRAINING and goes_on():
            try:
                await job()
            except PkgdError as error:
                log.error("a recurring job failed: {reason}", reason=error.message)
            except Exception:
                log.failure("a recurring job failed")
            await self._pause(interval)

    async def _expire(self) -> None:
        expired = await self._uploads.expire(self._config.limits.upload_expiry, time.time())
        self._mirror.metrics.uploads(await self._uploads.active(), expired)
        if expired:
            log.info("{count} abandoned uploads have been removed", count=expired)
        await self._packages.pending.expire(self._config.limits.upload_expiry)

    async def _keep_limits(self) -> None:
        """Keep the mirror's cache within its limits, once its ledger is known to be right."""
        await self._mirror.survey.run(self._is_stopping)
        await self._mirror.evictor.run(self._is_stopping)

    def _start_collecting(self) -> None:
        """Collect garbage as often as it is configured; whoever did so before ends when it wakes."""
        self._collecting = object()
        if self._upkeep.interval:
            self._tasks.start("garbage collection", self._collect(self._collecting))

    async def _collect(self, turn: object) -> None:
        interval = self._upkeep.interval
        await self._pause(self._upkeep.delay)
        job = partial(self._upkeep.recur, Until(self._is_stopping))
        await self._every(interval, job, lambda: self._collecting is turn)

    async def _scrub(self) -> None:
        await self._pause(self._scrubbing.interval)  # first what is begun at every start
        await self._every(self._scrubbing.interval, lambda: self._scrubbing.recur(Until(self._is_stopping)))

    async def _retain(self) -> None:
        await self._pause(self._retaining.look)
        await self._every(self._retaining.look, lambda: self._retaining.recur(Until(self._is_stopping)))

    async def _look_at_suspects(self) -> None:
        await self._suspects.look(Until(self._is_stopping))

    def _is_stopping(self) -> bool:
        return self._readiness.phase is Phase.DRAINING

    async def _sweep(self) -> None:
        """Give up the generations of package repositories that are out of their window, and look at their keys."""
        await self._key_expiry.run()
        await self._packages.sweep()

    async def _flush_uses(self) -> None:
        await self._mirror.ledger.flush()
        self._mirror.metrics.cached_bytes(await self._mirror.ledger.by_host())

    async def _refresh_certificates(self) -> None:
        if self._certificates is not None:
            await self._blocking.disk(self._certificates.refresh)

    async def _refresh_users(self) -> None:
        await self._authentication.refresh(self._blocking)
        await self._authentication.look()

    async def _refresh_keys(self) -> None:
        await self._authentication.refresh_keys(self._blocking)
        await self._authentication.sweep()

    async def _pause(self, seconds: float) -> None:
        """Wait, but not beyond the beginning of the stop, which wakes only those that have paused before."""
        if self._readiness.phase is Phase.DRAINING:
            return
        pause: Deferred[None] = Deferred()
        self._pauses.append(pause)
        timer = self._reactor.callLater(seconds, pause.callback, None)
        try:
            await pause
        finally:
            self._pauses.remove(pause)
            if timer.active():
                timer.cancel()

    def reload(self) -> Deferred[None]:
        """SIGHUP: read the configuration and what it names, ask back ends and issuers anew, and open the logs anew.

        The Deferred fires when that is done, whatever became of it.
        """
        return self._tasks.start("reload", self._reload())

    @property
    def _authentication(self) -> Authentication:
        return self._serving.authentication

    async def _look_for_provider(self) -> None:
        browsers = self._authentication.browsers
        if browsers is not None:
            await browsers.provider.look()

    async def _look_for_configuration(self) -> None:
        if self._source is not None and await self._blocking.disk(self._source.has_changed):
            await self._reloading.run(lambda: Deferred.fromCoroutine(self._follow()))

    async def _follow(self) -> None:
        # A signal may have come first.
        if self._source is not None and await self._blocking.disk(self._source.has_changed):
            await self._reconfigure(self._source)

    async def _reconfigure(self, source: ConfigFile | None) -> None:
        """Read the configuration anew, and follow it: all of it, or nothing."""
        if source is None or self._is_stopping():
            return
        metrics = self._mirror.metrics
        try:
            kept = keep_fixed(self._config, await self._blocking.disk(source.read))
            new = self._renew(kept.config, self._serving)
            await self._packages.prepare(new.packages)
            if self._certificates is not None:
                tls = kept.config.server.tls
                await self._blocking.disk(load_context, str(tls.certificate), str(tls.key))
            await new.authentication.prepare(self._blocking, self._authentication)
        except PkgdError as error:
            log.error("the configuration stays as it was: {reason}", reason=error.message)
            metrics.reloaded(False, self._reactor.seconds())
            return
        if self._is_stopping():
            return
        for name in kept.names:
            log.warn("{name} stays as it was until pkgd is started anew", name=name)
        interval = self._upkeep.interval
        self._retired.append((self._reactor.seconds(), self._serving))
        self._config, self._serving = kept.config, new
        new.take_effect()
        self._site.limits = new.http_limits
        self._key_expiry.use(self._packages.signers, kept.config.signing.rotate_warn)
        if self._certificates is not None:
            self._certificates.use(str(kept.config.server.tls.certificate), str(kept.config.server.tls.key))
        if self._upkeep.interval != interval:
            self._start_collecting()
        metrics.reloaded(True, self._reactor.seconds())
        log.info("the configuration has been read anew")
        self._tasks.start("issuers", new.authentication.federation.look())
        await self._packages.start_waiting()

    async def _close_retired(self) -> None:
        """Close the connections of configurations that no request uses any more."""
        now = self._reactor.seconds()
        for since, one in list(self._retired):
            if now - since >= RETIRED_SECONDS and one.upstreams.is_idle:
                self._retired.remove((since, one))
                await one.upstreams.close()
                await one.authentication.close()

    async def _reload(self) -> None:
        await self._reloading.run(lambda: Deferred.fromCoroutine(self._reconfigure(self._source)))
        await self._refresh_certificates()
        await self._refresh_users()
        await self._refresh_keys()
        self._authentication.federation.forget()
        for one in (self._access_log, self._audit_log):
            try:
                await self._blocking.disk(one.reopen)
            except OSError as error:
                log.error("a log stays in the file that it was in: {reason}", reason=error)

    # -- the stop --

    def stopService(self) -> Deferred[None]:
        """Stop in order; the Deferred fires when everything is closed."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        """Whatever goes wrong on the way: what is open is closed, or the process would not end."""
        self._stopping()
        self._readiness.phase = Phase.DRAINING
        try:
            await self._drain()
        except Exception:
            log.failure("the stop did not go in order")
        finally:
            self._close()

    async def _drain(self) -> None:
        """Let requests finish, and give up what the mirror is doing."""
        shutdown = self._config.server.shutdown
        if shutdown.delay:
            await self._wait(shutdown.delay)
        await self._admin.close()
        for port in self._ports:
            try:
                stopped = port.stopListening()
                if stopped is not None:
                    await stopped
            except OSError as error:
                log.warn("a socket's file could not be removed: {reason}", reason=error)
        drained = self._site.drain()
        if not drained.called:
            await self._wait_for(drained, shutdown.drain)
            self._site.abort()
            # Connections end on the next turn, which is when their requests are logged.
            await self._wait_for(drained, ABORT_SECONDS)
        for pause in list(self._pauses):
            pause.callback(None)
        # What waits for an upstream must not hold up the stop until that has answered.
        self._mirror.fills.give_up()
        for one in [self._serving, *(one for _, one in self._retired)]:
            await one.upstreams.close()
            await one.authentication.close()
        await self._mirror.fills.finished()
        await self._tasks.finished()
        # Publishes belong to nobody, and end what they have begun.
        await self._packages.finished()
        await self._mirror.ledger.flush()
        await self._authentication.flush()

    def _close(self) -> None:
        with ExitStack() as closing:
            # In the reverse order, each whatever becomes of the others.
            if self._lock_fd is not None:
                closing.callback(os.close, self._lock_fd)
            closing.callback(self._access_log.close)
            closing.callback(self._audit_log.close)
            closing.callback(self._blocking.stop)
            closing.callback(self._authentication.stop)
            closing.callback(self._database.close)
            closing.callback(self._site.halt)
            closing.callback(self._lag.stop)
        log.info("pkgd has stopped")

    async def _wait(self, seconds: float) -> None:
        pause: Deferred[None] = Deferred()
        self._reactor.callLater(seconds, pause.callback, None)
        await pause

    async def _wait_for(self, event: Deferred[None], seconds: float) -> None:
        """Wait for an event, but no longer than `seconds`."""
        done: Deferred[None] = Deferred()

        def finish(_: object = None) -> None:
            if not done.called:
                done.callback(None)

        event.addBoth(finish)
        timer = self._reactor.callLater(seconds, finish)
        await done
        if timer.active():
            timer.cancel()


def _raise_file_limit() -> None:
    """Allow as many descriptors as the system grants: a connection takes one, and its file another."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:  # a service manager that has set both may have forbidden us to
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _result(listening: Deferred[IListeningPort]) -> IListeningPort:
    """The result of a Deferred that has fired already, as `listen` of every local endpoint has."""
    results: list[Any] = []
    listening.addBoth(results.append)
    if not results:
        raise ConfigError("server.listen", "the endpoint does not open at once")
    if isinstance(results[0], Failure):
        results[0].raiseException()
    port: IListeningPort = results[0]
    return port
