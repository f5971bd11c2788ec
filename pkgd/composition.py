"""Every object of the daemon, made bottom up from a configuration: everything concrete is named here."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from attrs import define, frozen
from twisted.internet.task import deferLater

from pkgd.auth.audit import Audit
from pkgd.authentication import Authentication, authenticate
from pkgd.authorization import is_credentialed
from pkgd.backup.places import Places
from pkgd.blocking import ThreadedBlocking
from pkgd.config import Config
from pkgd.formats.globs import Globs
from pkgd.hosting import PackageHost, PackageParts
from pkgd.logfile import LogFile
from pkgd.metrics import Metrics
from pkgd.mirror.eviction import Evictor
from pkgd.mirror.fills import Fills
from pkgd.mirror.survey import Survey
from pkgd.mirror.upstreams import Upstreams
from pkgd.mirroring import eviction_limits, make_mirror, make_mirrors, make_upstreams, origin_rules
from pkgd.outbound.client import Limits
from pkgd.registry.catalog import Catalog
from pkgd.registry.garbage import Collector
from pkgd.registry.immutable import ImmutableTags
from pkgd.registry.manifests import Manifests
from pkgd.registry.referrers import Referrers
from pkgd.registry.uploads import Uploads
from pkgd.retention.packages import suites_of
from pkgd.retention.retention import Retention
from pkgd.scrub.cursor import CursorFile
from pkgd.scrub.hashing import Hasher
from pkgd.scrub.quarantine import Quarantine
from pkgd.scrub.scrubber import Scrubber
from pkgd.scrub.scrubber import Stores as ScrubbedStores
from pkgd.scrub.suspects import Suspects
from pkgd.sharing import Tasks
from pkgd.state import Database, Ledger
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.spool import Spool
from pkgd.stores import Stores, make_stores
from pkgd.upkeep import Retaining, Scrubbing, Upkeep
from pkgd.usage import Usage
from pkgd.watching import follow
from pkgd.web.accesslog import AccessLog
from pkgd.web.gate import Gate
from pkgd.web.health import HealthApi, Readiness
from pkgd.web.metrics import MetricsApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.registry.blobs import BlobEndpoints
from pkgd.web.registry.listings import ListingEndpoints
from pkgd.web.registry.manifests import ManifestEndpoints
from pkgd.web.registry.mirror import MirrorEndpoints
from pkgd.web.registry.uploads import UploadEndpoints
from pkgd.web.root import Root
from pkgd.web.site import HttpLimits
from pkgd.web.tls import CertificateFiles

__all__ = ["MirrorParts", "Parts", "Present", "Serving", "compose"]


@frozen
class MirrorParts:
    """What of the mirror has a life of its own."""

    fills: Fills
    evictor: Evictor
    survey: Survey
    ledger: Ledger
    metrics: Metrics


@frozen
class Serving:
    """What one reading of the configuration makes, and the next one replaces as a whole.

    `take_effect` tells what lives longer; until then nothing has changed. It cannot fail.
    """

    config: Config
    root: Root
    authentication: Authentication
    packages: PackageParts
    upstreams: Upstreams
    http_limits: HttpLimits
    take_effect: Callable[[], None]

    async def close(self, others: Sequence[Serving] = ()) -> None:
        """End what others are asked, and close all connections to them.

        :param others: those that may have something in common with it, which stays open.
        """
        if all(one.upstreams is not self.upstreams for one in others):
            await self.upstreams.close()
        await self.authentication.close([one.authentication for one in others])


@define
class Present:
    """What is in use: a new configuration turns `serving`; `certificates` are None as long as nobody speaks TLS."""

    serving: Serving
    certificates: CertificateFiles | None = None


@frozen
class Parts:
    """What the daemon starts, stops and drives."""

    blocking: ThreadedBlocking
    tree: DurableTree
    spool: Spool
    database: Database
    uploads: Uploads
    readiness: Readiness
    access_log: AccessLog
    mirror: MirrorParts
    packages: PackageHost
    present: Present
    audit_log: LogFile
    upkeep: Upkeep
    scrubbing: Scrubbing
    suspects: Suspects
    retaining: Retaining
    usage: Usage
    renew: Callable[[Config, Serving], Serving]

    @property
    def root(self) -> Root:
        """The doors, as the first configuration has them."""
        return self.present.serving.root


def compose(reactor: Any, config: Config, fs: FileSystem, tasks: Tasks, outbound: Limits) -> Parts:
    """Make everything.

    :param tasks: where requests run.
    :param outbound: how patient to be with upstreams.
    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    metrics = Metrics()
    stores = make_stores(reactor, config, fs, metrics)
    started = reactor.seconds()
    own_id = f"pkgd-{secrets.token_hex(8)}"
    mirror = make_mirror(reactor, config, stores, metrics)
    catalog = Catalog(stores.store)
    uploads = Uploads(stores.spool, stores.blobs, stores.space, stores.blocking, int(config.limits.upload_size))
    audit_log = LogFile(reactor, stores.blocking, config.logging.audit.file, "audit log")
    audit = Audit(audit_log, time.time)
    packages = PackageHost(reactor, config, fs, stores.blocking, tasks, metrics)
    upkeep = _upkeep(config, stores, metrics)
    quarantine = Quarantine(*(stores.store, stores.index, stores.ledger, stores.locks, stores.cached, stores.blocking))
    places = Places(str(config.state_dir), config.storage.filesystem.root)
    scrubbed = ScrubbedStores(places, stores.store, packages.store)
    scrubbing = _scrubbing(reactor, config, stores, quarantine, scrubbed, metrics)
    suspects = Suspects(
        *(scrubbed, quarantine, lambda: Hasher(stores.blocking, None, 0)),
        *(stores.blocking, time.monotonic, metrics.corrupt),
    )
    retention = Retention.of(
        *(stores.store, stores.blocking, stores.stored, stores.contents, stores.blobs.leases),
        _manifests(config, stores, _immutable(config, stores)),
        lambda: suites_of(packages.current),
    )
    retaining = Retaining(config, retention, metrics, audit, time.monotonic)
    readiness = Readiness(
        stores.store, stores.space, lambda: stores.blocking.disk(stores.spool.probe), quarantine.count
    )
    logged = config.logging.access
    access_log = AccessLog(reactor, stores.blocking, logged.file, config.trusted_networks, logged.format)

    def serve(config: Config, before: Serving | None) -> Serving:
        old = None if before is None else before.authentication
        authentication = authenticate(reactor, config, metrics, audit, tasks, catalog.exists, before=old)
        asked = None if before is None else before.upstreams
        upstreams = make_upstreams(reactor, config, metrics, outbound, own_id, asked)
        mirrors = make_mirrors(reactor, config, stores, metrics, upstreams, mirror)
        door = MirrorEndpoints(mirrors, origin_rules(config), catalog, stores.blocking, own_id, suspects.blob)
        gate, browsers, doors = authentication.gate, authentication.browsers, authentication.login_doors
        hosted, immutable = packages.compose(config, gate, suspects.package), _immutable(config, stores)
        manifests = _manifests(config, stores, immutable)
        root = Root(
            _registry(config, gate, stores, catalog, uploads, (manifests, immutable), door, tasks, suspects),
            HealthApi(readiness, reactor, None if browsers is None else browsers.provider.state, started),
            MetricsApi(metrics, stores.blocking) if config.metrics.enabled else None,
            hosted.doors,
            hosted.api,
            authentication.door,
            doors,
            None if browsers is None else browsers.api,
            None if browsers is None else browsers.page,
        )
        limits = HttpLimits(
            header_size=int(config.limits.header_size),
            body_timeout=config.limits.body_timeout,
            connections=config.server.max_connections,
        )

        def take_effect() -> None:
            follow(metrics, config)
            authentication.take_effect()
            packages.take_effect(hosted)
            if mirror.fills.upstreams is not upstreams:
                metrics.mirror.forget_circuits()
            mirror.fills.upstreams = upstreams
            mirror.evictor.limits = eviction_limits(config)
            mirror.cache.has_credentials = is_credentialed(config)
            uploads.max_size = int(config.limits.upload_size)
            stores.space.floor = int(config.storage.filesystem.min_free)
            access_log.trusted = config.trusted_networks
            upkeep.follow(config)
            scrubbing.settings = config.storage.scrub
            retention.images.manifests = manifests
            retaining.follow(config)

        return Serving(config, root, authentication, hosted, upstreams, limits, take_effect)

    serving = serve(config, None)
    serving.take_effect()
    return Parts(
        blocking=stores.blocking,
        tree=stores.tree,
        spool=stores.spool,
        database=stores.database,
        uploads=uploads,
        readiness=readiness,
        access_log=access_log,
        mirror=MirrorParts(mirror.fills, mirror.evictor, mirror.survey, stores.ledger, metrics),
        packages=packages,
        present=Present(serving),
        audit_log=audit_log,
        upkeep=upkeep,
        scrubbing=scrubbing,
        suspects=suspects,
        retaining=retaining,
        usage=Usage(stores.tree, packages.tree, stores.blocking, partial(deferLater, reactor), metrics.storage),
        renew=serve,
    )


def _upkeep(config: Config, stores: Stores, metrics: Metrics) -> Upkeep:
    """What keeps the state in order."""
    collector = Collector(
        *(stores.store, stores.index, stores.locks, stores.blobs.leases, stores.blocking),
        *(time.monotonic, time.time),
    )
    return Upkeep(config, collector, metrics)


def _scrubbing(
    reactor: Any, config: Config, stores: Stores, quarantine: Quarantine, scrubbed: ScrubbedStores, metrics: Metrics
) -> Scrubbing:
    """What reads everything again."""
    scrubber = Scrubber(
        scrubbed,
        quarantine,
        lambda: Hasher(stores.blocking, lambda seconds: deferLater(reactor, seconds), int(scrubbing.settings.rate)),
        stores.blocking,
    )
    scrubbing = Scrubbing(config, scrubber, CursorFile(scrubbed.packages, stores.blocking), metrics, time.time)
    return scrubbing


def _immutable(config: Config, stores: Stores) -> ImmutableTags:
    globs = config.repositories.oci.immutable_tags
    return ImmutableTags(globs, stores.contents, stores.stored, stores.blocking)


def _manifests(config: Config, stores: Stores, immutable: ImmutableTags) -> Manifests:
    """What changes manifests and tags."""
    return Manifests(
        *(stores.store, stores.index, stores.blobs, stores.stored, stores.legacy, stores.contents),
        *(stores.space, stores.spool.reserve, stores.blocking, stores.locks),
        *(Globs(config.repositories.oci.sparse), immutable),
    )


def _registry(
    config: Config,
    gate: Gate,
    stores: Stores,
    catalog: Catalog,
    uploads: Uploads,
    changing: tuple[Manifests, ImmutableTags],
    door: MirrorEndpoints,
    tasks: Tasks,
    suspects: Suspects,
) -> RegistryApi:
    """`/v2/`."""
    manifests, immutable = changing
    referrers = Referrers(stores.stored, stores.contents, stores.index, stores.locks)
    endpoints = [
        *ListingEndpoints(stores.contents, referrers, catalog).endpoints(),
        *BlobEndpoints(stores.blobs, immutable, stores.blocking, suspects.blob).endpoints(),
        *UploadEndpoints(uploads, stores.blobs).endpoints(),
        *ManifestEndpoints(stores.stored, manifests, int(config.limits.manifest_size)).endpoints(),
    ]
    return RegistryApi(gate, endpoints, tasks, door)
