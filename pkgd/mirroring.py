"""The pull-through mirror, made from the configuration: what lasts, and what each configuration has of its own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

from pkgd.authorization import is_credentialed, upstream_host
from pkgd.config import Config, read_password
from pkgd.config import Mirror as MirrorSection
from pkgd.errors import ConfigError
from pkgd.flow import BufferPool
from pkgd.formats.globs import Globs
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
from pkgd.stores import Stores
from pkgd.web.registry.mirror import Mirrors

__all__ = ["LastingMirror", "eviction_limits", "make_mirror", "make_mirrors", "make_upstreams", "origin_rules"]

# Buffers for bodies from upstreams, of 1 MiB each; the site has its own for uploads.
OUTBOUND_BUFFERS = 32


@frozen
class LastingMirror:
    """What goes on whatever the configuration becomes."""

    cache: MirrorCache
    evictor: Evictor
    fills: Fills
    survey: Survey


def eviction_limits(config: Config) -> EvictionLimits:
    """How much the cache may hold."""
    return EvictionLimits(int(config.mirror.evict.max_size), config.mirror.evict.unused_for)


def make_mirror(reactor: Any, config: Config, stores: Stores, metrics: Metrics) -> LastingMirror:
    """Make it. Its upstreams are for the first configuration to say."""
    locks = stores.cached
    evictor = Evictor(
        Removal(stores.store, stores.ledger, stores.blocking),
        stores.ledger,
        locks,
        stores.space,
        eviction_limits(config),
        lambda place, digest: fills.is_flying(place, digest),
        reactor.seconds,
        metrics.evicted,
    )
    cache = MirrorCache(
        *(stores.store, stores.stored, stores.blobs, stores.ledger),
        *(locks, stores.blocking, reactor, is_credentialed(config)),
    )
    nobody = Upstreams([], lambda host: _never(host))
    fills = Fills(nobody, cache, evictor, stores.spool, stores.blocking, reactor)
    survey = Survey(stores.store, stores.ledger, stores.index, locks, stores.blocking, reactor.seconds)
    return LastingMirror(cache, evictor, fills, survey)


def _never(host: str) -> Upstream:
    raise AssertionError(f"{host} is asked before there is a configuration")


def make_mirrors(
    reactor: Any, config: Config, stores: Stores, metrics: Metrics, upstreams: Upstreams, lasting: LastingMirror
) -> Mirrors:
    """Make the reading sides of a configuration."""
    mirror, enabled = config.mirror, config.mirror_enabled
    cache, fills = lasting.cache, lasting.fills
    freshness = Freshness(enabled, mirror.tag_ttl, mirror.serve_stale, int(config.limits.manifest_size))
    absences = Absences(reactor, mirror.negative_ttl)
    manifests = MirroredManifests(upstreams, cache, stores.blocking, metrics, reactor, freshness, absences)
    return Mirrors(
        cache,
        manifests,
        MirroredBlobs(upstreams, cache, fills, stores.blocking, metrics, absences, enabled),
        MirroredReferrers(upstreams, cache, manifests, stores.blocking, metrics, reactor, freshness),
        MirroredTags(upstreams, stores.contents, stores.blocking, metrics, freshness),
    )


def origin_rules(config: Config) -> OriginRules:
    """Which upstream a request means."""
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


def make_upstreams(
    reactor: Any, config: Config, metrics: Metrics, limits: Limits, own_id: str, before: Upstreams | None = None
) -> Upstreams:
    """The endpoints of all hosts; those that are configured are made at once, so that their files are looked at.

    :param limits: how patient to be with them.
    :param own_id: what this mirror calls itself in `Via`.
    :param before: those of the configuration before this one: if they are the same, they stay, with their
        connections, tokens, and what is known of who fails.
    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    mirror = config.mirror
    buffers = BufferPool(count=OUTBOUND_BUFFERS)
    credentials = {host: _credentials(host, config) for host in mirror.registries}
    made_of = (mirror.registries, mirror.upstream_mirror, mirror.upstream_only, mirror.fallback, credentials)
    if before is not None and before.made_of == made_of:
        return before
    written = {*mirror.registries, *(host for host in mirror.fallback if host not in MirrorSection().fallback)}

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
        made_of=made_of,
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
