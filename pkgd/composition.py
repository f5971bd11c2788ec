"""Every object of the daemon, made bottom up from a configuration: everything concrete is named here."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from twisted.internet.task import deferLater

from pkgd.auth.audit import Audit
from pkgd.authentication import Authentication, authenticate
from pkgd.authorization import is_credentialed, upstream_host
from pkgd.backup.places import Places
from pkgd.blocking import ThreadedBlocking
from pkgd.config import Config, Mirror, read_password
from pkgd.errors import ConfigError
from pkgd.flow import BufferPool
from pkgd.formats.globs import Globs
from pkgd.hosting import PackageHost, PackageParts
from pkgd.logfile import LogFile
from pkgd.metrics import Metrics
from pkgd.mirror.absences import Absences
from pkgd.mirror.blobs import MirroredBlobs
from pkgd.mirror.cache import MirrorCache
from pkgd.mirror.eviction import EvictionLimits, Evictor
from pkgd.mirror.fills import Fills
from pkgd.mirror.manifests import Freshness, MirroredManifests
from pkgd.mirror.origins import OriginRules
from pkgd.mirror.referrers import MirroredReferrers
from pkgd.mirror.removal import Removal
from pkgd.mirror.survey import Survey
from pkgd.mirror.tags import MirroredTags
from pkgd.mirror.tokens import Credentials
from pkgd.mirror.upstream import Endpoint, Upstream
from pkgd.mirror.upstreams import Upstreams
from pkgd.outbound.client import Client, Limits, Trust
from pkgd.packages.staging import state_reserve
from pkgd.registry.blobs import Blobs
from pkgd.registry.catalog import Catalog
from pkgd.registry.contents import ContentsReader
from pkgd.registry.garbage import Collector
from pkgd.registry.immutable import ImmutableTags
from pkgd.registry.leases import Leases
from pkgd.registry.legacy import LegacyManifests
from pkgd.registry.manifests import Manifests
from pkgd.registry.referrers import Referrers
from pkgd.registry.stored import StoredManifests
from pkgd.registry.uploads import Uploads
from pkgd.retention.packages import suites_of
from pkgd.retention.retention import Retention
from pkgd.scrub.cursor import CursorFile
from pkgd.scrub.hashing import Hasher
from pkgd.scrub.quarantine import Quarantine
from pkgd.scrub.scrubber import Scrubber, Stores
from pkgd.scrub.suspects import Suspects
from pkgd.sharing import KeyedLock, Tasks
from pkgd.state import Database, Index, Ledger
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.local import LocalStore
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool
from pkgd.upkeep import Retaining, Scrubbing, Upkeep
from pkgd.web.accesslog import AccessLog
from pkgd.web.gate import Gate
from pkgd.web.health import HealthApi, Readiness
from pkgd.web.metrics import MetricsApi
from pkgd.web.registry.api import RegistryApi
from pkgd.web.registry.blobs import BlobEndpoints
from pkgd.web.registry.listings import ListingEndpoints
from pkgd.web.registry.manifests import ManifestEndpoints
from pkgd.web.registry.mirror import MirrorEndpoints, Mirrors
from pkgd.web.registry.uploads import UploadEndpoints
from pkgd.web.root import Root
from pkgd.web.site import HttpLimits

__all__ = ["MirrorParts", "Parts", "Serving", "compose"]

# Buffers for bodies from upstreams, of 1 MiB each; the site has its own for uploads.
OUTBOUND_BUFFERS = 32


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
    serving: Serving
    audit_log: LogFile
    upkeep: Upkeep
    scrubbing: Scrubbing
    retaining: Retaining
    suspects: Suspects
    renew: Callable[[Config, Serving], Serving]

    @property
    def root(self) -> Root:
        """The doors, as the first configuration has them."""
        return self.serving.root


@frozen
class _Storage:
    """The bytes at rest, and what every domain room needs of them."""

    blocking: ThreadedBlocking
    tree: DurableTree
    spool: Spool
    space: FreeSpace
    store: LocalStore
    database: Database
    index: Index
    ledger: Ledger
    locks: KeyedLock
    # One for each place of the mirror's cache.
    cached: KeyedLock
    blobs: Blobs
    legacy: LegacyManifests
    stored: StoredManifests
    contents: ContentsReader


def compose(reactor: Any, config: Config, fs: FileSystem, tasks: Tasks, outbound: Limits) -> Parts:
    """Make everything.

    :param tasks: where requests run.
    :param outbound: how patient to be with upstreams.
    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    storage = _storage(reactor, config, fs)
    metrics = Metrics([*config.mirror.registries, *config.mirror.fallback])
    started = reactor.seconds()
    own_id = f"pkgd-{secrets.token_hex(8)}"
    mirror = _mirror(reactor, config, storage, metrics)
    catalog = Catalog(storage.store)
    uploads = Uploads(storage.spool, storage.blobs, storage.space, storage.blocking, int(config.limits.upload_size))
    audit_log = LogFile(reactor, storage.blocking, config.logging.audit.file, "audit log")
    audit = Audit(audit_log, time.time)
    packages = PackageHost(reactor, config, fs, storage.blocking, tasks)
    upkeep = _upkeep(config, storage, metrics)
    quarantine = Quarantine(
        *(storage.store, storage.index, storage.ledger, storage.locks, storage.cached, storage.blocking)
    )
    stores = Stores(Places(str(config.state_dir), config.storage.filesystem.root), storage.store, packages.store)
    scrubbing = _scrubbing(reactor, config, storage, quarantine, stores, metrics)
    suspects = Suspects(
        *(stores, quarantine, lambda: Hasher(storage.blocking, None, 0)),
        *(storage.blocking, time.monotonic, metrics.corrupt),
    )
    retention = Retention.of(
        *(storage.store, storage.blocking, storage.stored, storage.contents, storage.blobs.leases),
        _manifests(config, storage, _immutable(config, storage)),
        lambda: suites_of(packages.current),
    )
    retaining = Retaining(config, retention, metrics, audit, time.monotonic)
    readiness = Readiness(
        storage.store, storage.space, lambda: storage.blocking.disk(storage.spool.probe), quarantine.count
    )
    access_log = AccessLog(reactor, storage.blocking, config.logging.access.file, config.trusted_networks)

    def serve(config: Config, before: Serving | None) -> Serving:
        old = None if before is None else before.authentication
        authentication = authenticate(reactor, config, metrics, audit, tasks, before=old)
        upstreams = _upstreams(reactor, config, metrics, outbound, own_id)
        mirrors = _mirrors(reactor, config, storage, metrics, upstreams, mirror)
        door = MirrorEndpoints(mirrors, _origin_rules(config), catalog, storage.blocking, own_id, suspects.blob)
        gate, browsers = authentication.gate, authentication.browsers
        hosted, immutable = packages.compose(config, gate, suspects.package), _immutable(config, storage)
        manifests = _manifests(config, storage, immutable)
        root = Root(
            _registry(config, gate, storage, catalog, uploads, (manifests, immutable), door, tasks, suspects),
            HealthApi(readiness, reactor, None if browsers is None else browsers.provider.state, started),
            MetricsApi(metrics, storage.blocking) if config.metrics.enabled else None,
            hosted.doors,
            hosted.api,
            authentication.door,
            authentication.keys_api,
            None if browsers is None else browsers.api,
            None if browsers is None else browsers.page,
        )
        limits = HttpLimits(
            header_size=int(config.limits.header_size),
            body_timeout=config.limits.body_timeout,
            connections=config.server.max_connections,
        )

        def take_effect() -> None:
            authentication.take_effect()
            packages.take_effect(hosted)
            mirror.fills.upstreams = upstreams
            mirror.evictor.limits = _eviction_limits(config)
            mirror.cache.has_credentials = is_credentialed(config)
            uploads.max_size = int(config.limits.upload_size)
            storage.space.floor = int(config.storage.filesystem.min_free)
            access_log.trusted = config.trusted_networks
            upkeep.follow(config)
            scrubbing.settings = config.storage.scrub
            retention.images.manifests = manifests
            retaining.follow(config)

        return Serving(config, root, authentication, hosted, upstreams, limits, take_effect)

    serving = serve(config, None)
    serving.take_effect()
    return Parts(
        blocking=storage.blocking,
        tree=storage.tree,
        spool=storage.spool,
        database=storage.database,
        uploads=uploads,
        readiness=readiness,
        access_log=access_log,
        mirror=MirrorParts(mirror.fills, mirror.evictor, mirror.survey, storage.ledger, metrics),
        packages=packages,
        serving=serving,
        audit_log=audit_log,
        upkeep=upkeep,
        scrubbing=scrubbing,
        retaining=retaining,
        suspects=suspects,
        renew=serve,
    )


def _upkeep(config: Config, storage: _Storage, metrics: Metrics) -> Upkeep:
    """What keeps the state in order."""
    collector = Collector(
        *(storage.store, storage.index, storage.locks, storage.blobs.leases, storage.blocking),
        *(time.monotonic, time.time),
    )
    return Upkeep(config, collector, metrics)


def _scrubbing(
    reactor: Any, config: Config, storage: _Storage, quarantine: Quarantine, stores: Stores, metrics: Metrics
) -> Scrubbing:
    """What reads everything again."""
    scrubber = Scrubber(
        stores,
        quarantine,
        lambda: Hasher(storage.blocking, lambda seconds: deferLater(reactor, seconds), int(scrubbing.settings.rate)),
        storage.blocking,
    )
    scrubbing = Scrubbing(config, scrubber, CursorFile(stores.packages, storage.blocking), metrics, time.time)
    return scrubbing


def _storage(reactor: Any, config: Config, fs: FileSystem) -> _Storage:
    files = config.storage.filesystem
    blocking = ThreadedBlocking(reactor, send_threads=(os.cpu_count() or 1) + 1)
    tree = DurableTree(files.root, fs, files.fsync)
    spool = Spool(tree)
    store = LocalStore(tree, blocking, spool)
    state = str(config.state_dir)
    database = Database(reactor, os.path.join(state, "index.sqlite"), state_reserve(state, fs).release)
    index, ledger = Index(database), Ledger(database)
    locks = KeyedLock()
    legacy = LegacyManifests(store, store, blocking)
    return _Storage(
        blocking=blocking,
        tree=tree,
        spool=spool,
        space=FreeSpace(tree, blocking, reactor, int(files.min_free)),
        store=store,
        database=database,
        index=index,
        ledger=ledger,
        locks=locks,
        cached=KeyedLock(),
        blobs=Blobs(store, index, locks, Leases(time.monotonic)),
        legacy=legacy,
        stored=StoredManifests(store, store, blocking, legacy),
        contents=ContentsReader(store, index, legacy, blocking),
    )


def _immutable(config: Config, storage: _Storage) -> ImmutableTags:
    globs = config.repositories.oci.immutable_tags
    return ImmutableTags(globs, storage.contents, storage.stored, storage.blocking)


def _manifests(config: Config, storage: _Storage, immutable: ImmutableTags) -> Manifests:
    """What changes manifests and tags."""
    return Manifests(
        *(storage.store, storage.index, storage.blobs, storage.stored, storage.legacy, storage.contents),
        *(storage.space, storage.spool.reserve, storage.blocking, storage.locks),
        *(Globs(config.repositories.oci.sparse), immutable),
    )


def _registry(
    config: Config,
    gate: Gate,
    storage: _Storage,
    catalog: Catalog,
    uploads: Uploads,
    changing: tuple[Manifests, ImmutableTags],
    door: MirrorEndpoints,
    tasks: Tasks,
    suspects: Suspects,
) -> RegistryApi:
    """`/v2/`."""
    manifests, immutable = changing
    referrers = Referrers(storage.stored, storage.contents, storage.index, storage.locks)
    endpoints = [
        *ListingEndpoints(storage.contents, referrers, catalog).endpoints(),
        *BlobEndpoints(storage.blobs, immutable, storage.blocking, suspects.blob).endpoints(),
        *UploadEndpoints(uploads, storage.blobs).endpoints(),
        *ManifestEndpoints(storage.stored, manifests, int(config.limits.manifest_size)).endpoints(),
    ]
    return RegistryApi(gate, endpoints, tasks, door)


# -- the mirror --


@frozen
class _Mirror:
    """What goes on whatever the configuration becomes."""

    cache: MirrorCache
    evictor: Evictor
    fills: Fills
    survey: Survey


def _eviction_limits(config: Config) -> EvictionLimits:
    return EvictionLimits(int(config.mirror.evict.max_size), config.mirror.evict.unused_for)


def _mirror(reactor: Any, config: Config, storage: _Storage, metrics: Metrics) -> _Mirror:
    locks = storage.cached
    evictor = Evictor(
        Removal(storage.store, storage.ledger, storage.blocking),
        storage.ledger,
        locks,
        storage.space,
        _eviction_limits(config),
        lambda place, digest: fills.is_flying(place, digest),
        reactor.seconds,
        metrics.evicted,
    )
    cache = MirrorCache(
        *(storage.store, storage.stored, storage.blobs, storage.ledger),
        *(locks, storage.blocking, reactor, is_credentialed(config)),
    )
    nobody = Upstreams([], lambda host: _never(host))
    fills = Fills(nobody, cache, evictor, storage.spool, storage.blocking, reactor)
    survey = Survey(storage.store, storage.ledger, storage.index, locks, storage.blocking, reactor.seconds)
    return _Mirror(cache, evictor, fills, survey)


def _never(host: str) -> Upstream:
    raise AssertionError(f"{host} is asked before there is a configuration")


def _mirrors(
    reactor: Any, config: Config, storage: _Storage, metrics: Metrics, upstreams: Upstreams, lasting: _Mirror
) -> Mirrors:
    mirror, enabled = config.mirror, config.mirror_enabled
    cache, fills = lasting.cache, lasting.fills
    freshness = Freshness(enabled, mirror.tag_ttl, mirror.serve_stale, int(config.limits.manifest_size))
    absences = Absences(reactor, mirror.negative_ttl)
    manifests = MirroredManifests(upstreams, cache, storage.blocking, metrics, reactor, freshness, absences)
    return Mirrors(
        cache,
        manifests,
        MirroredBlobs(upstreams, cache, fills, storage.blocking, metrics, absences, enabled),
        MirroredReferrers(upstreams, cache, manifests, storage.blocking, metrics, reactor, freshness),
        MirroredTags(upstreams, storage.contents, storage.blocking, metrics, freshness),
    )


def _origin_rules(config: Config) -> OriginRules:
    mirror = config.mirror
    return OriginRules(
        enabled=config.mirror_enabled,
        fallback=tuple(mirror.fallback),
        trust_header=mirror.trust_registry_host_header,
        path_prefix=mirror.path_prefix,
        allow=Globs(mirror.allow),
        deny=Globs(mirror.deny),
        reserved=Globs(mirror.reserved),
        own_names=config.own_names,
        configured=frozenset([*mirror.registries, *mirror.fallback]),
    )


def _upstreams(reactor: Any, config: Config, metrics: Metrics, limits: Limits, own_id: str) -> Upstreams:
    """The endpoints of all hosts; those that are configured are made at once, so that their files are looked at."""
    mirror = config.mirror
    buffers = BufferPool(count=OUTBOUND_BUFFERS)
    credentials = {host: _credentials(host, config) for host in mirror.registries}
    written = {*mirror.registries, *(host for host in mirror.fallback if host not in Mirror().fallback)}

    def make(host: str, base: str, is_mirror: bool) -> Upstream:
        section = mirror.registry(host)
        private = set(section.private_hosts)
        if is_mirror or host in written:
            # What the operator has written down may be private.
            private.add(_authority(base))
        try:
            trust = Trust(section.ca_file, frozenset(private))
            client = Client(reactor, trust, limits, buffers, section.max_concurrent)
        except ConfigError as error:
            raise ConfigError(f"mirror.registries.{host}.ca_file", error.reason) from error
        endpoint = Endpoint(host, base, credentials.get(host), is_mirror, section.max_concurrent)
        return Upstream(endpoint, client, reactor, metrics, own_id)

    parents = [make(upstream_host(url), url, is_mirror=True) for url in mirror.upstream_mirror]
    upstreams = Upstreams(
        parents,
        lambda host: make(host, str(mirror.registry(host).url), is_mirror=False),
        direct=not mirror.upstream_only,
    )
    for host in mirror.registries:
        upstreams.of(host)
    return upstreams


def _credentials(host: str, config: Config) -> Credentials | None:
    section = config.mirror.registries[host]
    password = read_password(host, section)
    return None if section.username is None or password is None else Credentials(section.username, password)


def _authority(url: str) -> str:
    """Host and port of a URL, the port always there: no other port of the host is meant."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
