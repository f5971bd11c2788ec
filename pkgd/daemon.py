"""The composition root: a configuration in, one service out. Everything concrete is named here.

Start: lock the state, listen, prepare the storage, then `/ready`. Stop: `/ready` says no, wait for
load balancers, stop listening, let requests finish, drop what is left, close.
"""

from __future__ import annotations

import fcntl
import gc
import os
import resource
import stat
import time
from collections.abc import Callable, Coroutine
from typing import Any

from twisted.application.service import Service
from twisted.internet import tcp
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure

from pkgd import __version__
from pkgd.auth.policy import AllowAll
from pkgd.blocking import ThreadedBlocking
from pkgd.config import Config
from pkgd.errors import AlreadyRunning, ConfigError, NotReady, PkgdError
from pkgd.formats.globs import Globs
from pkgd.registry.blobs import Blobs
from pkgd.registry.catalog import Catalog
from pkgd.registry.contents import ContentsReader
from pkgd.registry.legacy import LegacyManifests
from pkgd.registry.manifests import Manifests
from pkgd.registry.referrers import Referrers
from pkgd.registry.stored import StoredManifests
from pkgd.registry.uploads import Uploads
from pkgd.sharing import KeyedLock, Tasks
from pkgd.state import Index
from pkgd.storage.fsops import DurableTree, FileSystem, storage_errors
from pkgd.storage.local import LocalStore
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool
from pkgd.web.accesslog import AccessLog
from pkgd.web.gate import Gate
from pkgd.web.health import HealthApi, Phase, Readiness
from pkgd.web.registry.api import RegistryApi
from pkgd.web.registry.blobs import BlobEndpoints
from pkgd.web.registry.listings import ListingEndpoints
from pkgd.web.registry.manifests import ManifestEndpoints
from pkgd.web.registry.uploads import UploadEndpoints
from pkgd.web.request import Request
from pkgd.web.root import Root
from pkgd.web.site import Handler, HttpLimits, Site
from pkgd.web.tls import CertificateFiles
from pkgd.web.transport import Transport

__all__ = ["Daemon"]

log = Logger()

# How often storage is probed, and changed certificates and expired uploads are looked for, in seconds.
PROBE_INTERVAL = 10.0
CERTIFICATE_INTERVAL = 10.0
EXPIRY_INTERVAL = 600.0
# How long the stop waits for connections that it has dropped.
ABORT_SECONDS = 1.0


class Daemon(Service):
    """pkgd as a Twisted service.

    :param announce: called once with the daemon's base URL, when it is ready.
    :param stopping: called when the stop begins.
    """

    name = "pkgd"

    def __init__(
        self,
        reactor: Any,
        config: Config,
        fs: FileSystem | None = None,
        announce: Callable[[str], None] = lambda url: None,
        stopping: Callable[[], None] = lambda: None,
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
        self._build(fs or FileSystem())

    def _build(self, fs: FileSystem) -> None:
        """Make every object, bottom up. Opens nothing."""
        config, clock = self._config, self._reactor
        state, files = str(config.state_dir), config.storage.filesystem
        self._blocking = ThreadedBlocking(clock, send_threads=(os.cpu_count() or 1) + 1)
        self._tree = DurableTree(files.root, fs, files.fsync)
        self._spool = Spool(self._tree)
        self._space = FreeSpace(self._tree, self._blocking, clock, int(files.min_free))
        store = LocalStore(self._tree, self._blocking, self._spool)
        self._index = Index(clock, os.path.join(state, "index.sqlite"))
        locks = KeyedLock()
        blobs = Blobs(store, self._index, locks)
        self._uploads = Uploads(self._spool, blobs, self._space, self._blocking, int(config.limits.upload_size))
        legacy = LegacyManifests(store, store, self._blocking)
        contents = ContentsReader(store, self._index, legacy, self._blocking)
        sparse = Globs(config.repositories.oci.sparse)
        stored = StoredManifests(store, store, self._blocking, legacy)
        manifests = Manifests(
            store, self._index, blobs, stored, legacy, contents, self._space, self._blocking, locks, sparse
        )
        referrers = Referrers(stored, contents, self._index, locks)
        self._readiness = Readiness(store, self._space, lambda: self._blocking.disk(self._spool.probe))
        gate = Gate(AllowAll())
        registry = RegistryApi(
            gate,
            [
                *ListingEndpoints(contents, referrers, Catalog(store)).endpoints(),
                *BlobEndpoints(blobs, self._blocking).endpoints(),
                *UploadEndpoints(self._uploads, blobs).endpoints(),
                *ManifestEndpoints(stored, manifests, int(config.limits.manifest_size)).endpoints(),
            ],
            self._tasks,
        )
        self._root = Root(registry, HealthApi(self._readiness, clock))
        self._access_log = AccessLog(clock, self._blocking, config.logging.access.file, config.trusted_networks)
        limits = HttpLimits(
            header_size=int(config.limits.header_size),
            body_timeout=config.limits.body_timeout,
            connections=config.server.max_connections,
        )
        self._site = Site(clock, self._blocking, limits, self._route, self._access_log)

    def _route(self, request: Request) -> Handler:
        handler = self._root.route(request)
        if self._readiness.phase is Phase.STARTING and isinstance(handler, RegistryApi):
            raise NotReady()
        return handler

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
        self._index.start()
        self._tasks.start("start", self._prepare())

    def _open_state(self) -> None:
        """Make and lock the state directory, and open what is in it."""
        state = str(self._config.state_dir)
        try:
            for path in (state, self._tree.root):
                os.makedirs(path, mode=0o750, exist_ok=True)
                if os.stat(path).st_mode & stat.S_IWOTH:
                    raise ConfigError("state_dir", f"{path} may be written by everybody: chmod o-w it")
            self._lock(os.path.join(state, "pkgd.lock"))
            self._index.open()
            self._access_log.open()
        except OSError as error:
            raise ConfigError("state_dir", f"{error.filename or state}: {error.strerror}") from error

    def _lock(self, path: str) -> None:
        self._lock_fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            fcntl.flock(self._lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AlreadyRunning(path) from None

    def _listen(self) -> None:
        """Listen on every endpoint; with certificate files, all of them speak TLS.

        :raises ConfigError: if one cannot be.
        """
        factory: Any = self._site
        tls = self._config.server.tls
        if tls.certificate is not None and tls.key is not None:
            self._certificates = CertificateFiles(tls.certificate, tls.key)
            factory = TLSMemoryBIOFactory(self._certificates, False, self._site, clock=self._reactor)
        for description in self._config.server.listen:
            try:
                port = _result(serverFromString(self._reactor, description).listen(factory))
            except Exception as error:
                raise ConfigError("server.listen", f"{description}: {error}") from error
            if isinstance(port, tcp.Port):
                port.transport = Transport
            self._ports.append(port)

    async def _prepare(self) -> None:
        """Bring the storage into a known state, then serve."""
        try:
            await self._blocking.disk(self._prepare_storage)
        except PkgdError as error:
            log.error("the storage cannot be written: {reason}; content that is there is served", reason=error.message)
        await self._readiness.probe()
        if self._readiness.phase is not Phase.STARTING:
            return
        self._readiness.phase = Phase.SERVING
        # What has been made so far stays; the collector need not walk it again and again.
        gc.freeze()
        log.info("pkgd {version} serves {url}", version=__version__, url=self._url())
        self._announce(self._url())
        self._tasks.start("readiness", self._every(PROBE_INTERVAL, self._readiness.probe))
        self._tasks.start("upload expiry", self._every(EXPIRY_INTERVAL, self._expire))
        if self._certificates is not None:
            self._tasks.start("certificates", self._every(CERTIFICATE_INTERVAL, self._refresh_certificates))

    def _prepare_storage(self) -> None:
        with storage_errors():
            if not self._index.was_clean and self._tree.fs.scandir(self._tree.root):
                # What a killed process had made visible but not yet durable becomes durable now, so
                # that from here on everything that is visible is.
                self._tree.sync_all()
        self._spool.prepare()

    def _url(self) -> str:
        scheme = "http" if self._certificates is None else "https"
        host: Any = self._ports[0].getHost()
        return f"{scheme}://{getattr(host, 'host', 'localhost')}:{getattr(host, 'port', '')}"

    # -- what recurs --

    async def _every(self, interval: float, job: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Do a job now and again until the stop; its failure is logged and it is done again."""
        while self._readiness.phase is not Phase.DRAINING:
            try:
                await job()
            except PkgdError as error:
                log.error("a recurring job failed: {reason}", reason=error.message)
            except Exception:
                log.failure("a recurring job failed")
            await self._pause(interval)

    async def _expire(self) -> None:
        expired = await self._uploads.expire(self._config.limits.upload_expiry, time.time())
        if expired:
            log.info("{count} abandoned uploads have been removed", count=expired)

    async def _refresh_certificates(self) -> None:
        if self._certificates is not None:
            await self._blocking.disk(self._certificates.refresh)

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

    def reload(self) -> None:
        """SIGHUP: look at the certificates now, and open the access log anew."""
        self._tasks.start("reload", self._reload())

    async def _reload(self) -> None:
        await self._refresh_certificates()
        await self._blocking.disk(self._access_log.reopen)

    # -- the stop --

    def stopService(self) -> Deferred[None]:
        """Stop in order; the Deferred fires when everything is closed."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        shutdown = self._config.server.shutdown
        self._stopping()
        self._readiness.phase = Phase.DRAINING
        if shutdown.delay:
            await self._wait(shutdown.delay)
        for port in self._ports:
            stopped = port.stopListening()
            if stopped is not None:
                await stopped
        drained = self._site.drain()
        if not drained.called:
            await self._wait_for(drained, shutdown.drain)
            self._site.abort()
            # Connections end on the next turn, which is when their requests are logged.
            await self._wait_for(drained, ABORT_SECONDS)
        for pause in list(self._pauses):
            pause.callback(None)
        await self._tasks.finished()
        self._close()

    def _close(self) -> None:
        self._site.halt()
        self._index.close()
        self._blocking.stop()
        self._access_log.close()
        if self._lock_fd is not None:
            os.close(self._lock_fd)
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
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
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
