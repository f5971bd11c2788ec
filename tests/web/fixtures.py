"""The HTTP edge without a network: the whole Site over a store in a directory, spoken to in bytes.

`Edge` makes every object that answers; `edge.connect()` is a connection in memory (`tests.web.memory`),
`tests.web.wires.wire` one over sockets. Time is `edge.clock`; thread hops run at once unless a test
passes `HeldBlocking`. When a test ends, its edge makes sure that no file is open and no buffer lent.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from ipaddress import ip_network

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.policy import AllowAll, Policy
from pkgd.blocking import Blocking, InlineBlocking
from pkgd.flow import BufferPool
from pkgd.formats.globs import Globs
from pkgd.registry.blobs import Blobs
from pkgd.registry.catalog import Catalog
from pkgd.registry.contents import ContentsReader
from pkgd.registry.immutable import ImmutableTags
from pkgd.registry.leases import Leases
from pkgd.registry.legacy import LegacyManifests
from pkgd.registry.manifests import Manifests
from pkgd.registry.referrers import Referrers
from pkgd.registry.stored import StoredManifests
from pkgd.registry.uploads import Uploads
from pkgd.sharing import KeyedLock
from pkgd.storage.fsops import DurableTree
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
from tests.fixtures import HeldBlocking, inline_index
from tests.web.contract import contract_breaches
from tests.web.disk import RecordingFileSystem
from tests.web.handlers import Echo, HeldRequests
from tests.web.memory import Client, settle
from tests.web.messages import Response

__all__ = ["Edge"]

# Noon of some day; the clock never stands at the epoch.
NOON = 1_750_000_000.0


class Edge:
    """Everything between the connection and the disk, as `pkgd.daemon` puts it together.

    :param case: the test; its temporary directory is used.
    """

    def __init__(
        self,
        case: SynchronousTestCase,
        blocking: Blocking | None = None,
        policy: Policy | None = None,
        limits: HttpLimits | None = None,
        manifest_size: int = 4 << 20,
        upload_size: int = 0,
        buffers: BufferPool | None = None,
        sparse: tuple[str, ...] = (),
        immutable: tuple[str, ...] = (),
    ) -> None:
        self.directory = case.mktemp()
        os.makedirs(self.directory)
        self.clock = Clock()
        self.clock.advance(NOON)
        self.fs = RecordingFileSystem()
        self.blocking = InlineBlocking() if blocking is None else blocking
        self.tree = DurableTree(os.path.join(self.directory, "oci"), self.fs, fsync=False)
        os.makedirs(self.tree.root)
        # Files that could not be read: where each is, and which.
        self.suspects: list[tuple[str, str]] = []
        self._immutable = immutable
        self._build(policy or AllowAll(), limits or HttpLimits(), manifest_size, upload_size, Globs(sparse))
        if buffers is not None:
            self.site.buffers = buffers
        self.site.startFactory()
        self._held = HeldRequests()
        case.addCleanup(self.close)

    def _build(self, policy: Policy, limits: HttpLimits, manifest_size: int, upload_size: int, sparse: Globs) -> None:
        blocking, clock = self.blocking, self.clock
        spool = Spool(self.tree)
        spool.prepare()
        self.store = LocalStore(self.tree, blocking, spool)
        index = inline_index(os.path.join(self.directory, "index.sqlite"))
        space, locks = FreeSpace(self.tree, blocking, clock, 1 << 20), KeyedLock()
        self.leases = Leases(clock.seconds)
        blobs = Blobs(self.store, index, locks, self.leases)
        self.uploads = Uploads(spool, blobs, space, blocking, upload_size)
        legacy = LegacyManifests(self.store, self.store, blocking)
        contents = ContentsReader(self.store, index, legacy, blocking)
        stored = StoredManifests(self.store, self.store, blocking, legacy)
        immutable = ImmutableTags(self._immutable, contents, stored, blocking)
        manifests = Manifests(
            *(self.store, index, blobs, stored, legacy, contents, space, spool.reserve),
            *(blocking, locks, sparse, immutable),
        )
        listings = ListingEndpoints(contents, Referrers(stored, contents, index, locks), Catalog(self.store))
        registry = RegistryApi(
            Gate(policy),
            [
                *listings.endpoints(),
                *BlobEndpoints(blobs, immutable, blocking, self.suspect).endpoints(),
                *UploadEndpoints(self.uploads, blobs).endpoints(),
                *ManifestEndpoints(stored, manifests, manifest_size).endpoints(),
            ],
        )
        self.damaged = 0
        self.readiness = Readiness(self.store, space, lambda: blocking.disk(spool.probe), self._count_damaged)
        self.readiness.phase = Phase.SERVING
        self.health = HealthApi(self.readiness, clock)
        self.root = Root(registry, self.health)
        self.access_log = AccessLog(
            clock, InlineBlocking(), os.path.join(self.directory, "access.log"), [ip_network("192.0.2.7")]
        )
        self.access_log.open()
        # Who answers; a test may put something else in its place.
        self.route: Callable[[Request], Handler] = self.root.route
        self.site = Site(clock, blocking, limits, lambda request: self.route(request), self.access_log)

    def suspect(self, where: str, what: object) -> None:
        """Note a file that could not be read."""
        self.suspects.append((where, str(what)))

    async def _count_damaged(self) -> int:
        return self.damaged

    def hold(self) -> list[Request]:
        """From now on answer nothing: requests gather in the list, for the test to answer."""
        self.route = lambda request: self._held
        return self._held.requests

    def echo(self) -> None:
        """From now on answer every request with its own body."""
        self.route = lambda request: Echo()

    @property
    def lent_buffers(self) -> int:
        """How many body buffers are out of the pool."""
        pool = self.site.buffers
        return pool._count - pool._unmade - len(pool._free)

    def connect(self) -> Client:
        """A new connection."""
        channel = self.site.buildProtocol(None)
        assert channel is not None
        return Client(self.clock, channel)

    def call(self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Response:
        """One request over a connection of its own, and its answer, which is as the API's document has it."""
        client = self.connect()
        client.request(method, target, headers, body)
        self.run()
        (answer,) = client.answers(method)
        client.lose()
        if self.route == self.root.route:
            found = list(contract_breaches(method, target, answer))
            assert not found, found
        return answer

    def run(self) -> None:
        """Let everything go on that can, held calls included."""
        settle(self.clock)
        while isinstance(self.blocking, HeldBlocking) and self.blocking.release_all():
            settle(self.clock)

    def close(self) -> None:
        """Drop every connection, let everything end, and make sure that nothing is left open or lent."""
        self.site.abort()
        self.run()
        for request in self._held.requests:
            request.abort()
        self.site.halt()
        self.access_log.close()
        assert not self.fs.open_files, f"left open: {self.fs.open_files}"
        assert not self.lent_buffers, f"{self.lent_buffers} buffers are still lent"

    def log_lines(self) -> list[str]:
        """The access log so far."""
        self.access_log.close()
        self.access_log.open()
        with open(os.path.join(self.directory, "access.log"), encoding="ascii") as file:
            return file.read().splitlines()

    def pass_time(self, seconds: float) -> None:
        """Let time pass, second by second, and things happen."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            settle(self.clock)
