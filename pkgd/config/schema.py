"""The sections of the configuration, as frozen values with their defaults (docs/configuration.md has every key).

What a type cannot say, `pkgd.config.values`, `pkgd.config.mirroring`, `pkgd.config.hosting`, `pkgd.config.retention`
and `pkgd.config.authorization` check.
"""

from __future__ import annotations

from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from pkgd.config.auth import Auth
from pkgd.config.authorization import Authorization
from pkgd.config.hosted import AptRepository, RpmRepository, Signing
from pkgd.config.kinds import MASK, Duration, Secret, Section, Size, Staleness
from pkgd.config.retention import Retention
from pkgd.formats.hosts import parse_configured_host

__all__ = [
    "MASK",
    "Access",
    "AptRepository",
    "Audit",
    "Auth",
    "Authorization",
    "Config",
    "Duration",
    "Evict",
    "FilesystemStorage",
    "Limits",
    "Logging",
    "Metrics",
    "Mirror",
    "OciRepositories",
    "Repositories",
    "Retention",
    "RpmRepository",
    "Secret",
    "Section",
    "Server",
    "Shutdown",
    "Signing",
    "Size",
    "Staleness",
    "Storage",
    "Tls",
    "UpstreamRegistry",
]

_DOCKER_HUB = "docker.io"
# Where the registry that everybody calls docker.io answers.
_DOCKER_HUB_URL = "https://registry-1.docker.io"


class Tls(Section, frozen=True):
    """`server.tls`: PEM files, read again when they change."""

    certificate: str | None = None
    key: str | None = None


class Shutdown(Section, frozen=True):
    """`server.shutdown`: how a stop goes."""

    delay: Duration = 0.0
    drain: Duration = 30.0


class Server(Section, frozen=True):
    """`server`: where and how to listen, and what the world calls this server."""

    listen: list[str] = msgspec.field(default_factory=lambda: ["tcp:8080:interface=127.0.0.1"])
    external_url: str | None = None
    own_names: list[str] = []
    tls: Tls = Tls()
    trusted_proxies: list[str] = []
    shutdown: Shutdown = Shutdown()
    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 4096


class FilesystemStorage(Section, frozen=True):
    """`storage.filesystem`: the tree of blobs and manifests."""

    root: str = "oci"
    fsync: bool = True
    min_free: Size = 256 << 20


class Collection(Section, frozen=True):
    """`storage.gc`: how often blobs are looked for that no manifest names, and how long they may be so."""

    interval: Duration = 86400.0
    grace: Duration = 86400.0
    dry_run: bool = False


class Scrub(Section, frozen=True):
    """`storage.scrub`: how often everything is read again, and how fast."""

    interval: Duration = 7 * 86400.0
    rate: Size = 50 << 20


class Storage(Section, frozen=True):
    """`storage`: where content is kept."""

    filesystem: FilesystemStorage = FilesystemStorage()
    gc: Collection = Collection()
    scrub: Scrub = Scrub()


class OciRepositories(Section, frozen=True):
    """`repositories.oci`: rules for hosted repositories."""

    sparse: list[str] = []
    immutable_tags: list[str] = []


class Repositories(Section, frozen=True):
    """`repositories`: what is hosted. Packages have a repository called `main` where nothing else is written."""

    oci: OciRepositories = OciRepositories()
    apt: list[AptRepository] = msgspec.field(default_factory=lambda: [AptRepository(name="main")])
    rpm: list[RpmRepository] = msgspec.field(default_factory=lambda: [RpmRepository(name="main")])
    retention: Retention = Retention()


class UpstreamRegistry(Section, frozen=True):
    """`mirror.registries.<host>`: how one upstream registry is reached.

    Once parsed, `url` is never None. The password may instead be in a file, which `read_password` reads.
    """

    url: str | None = None
    username: str | None = None
    password: Secret | None = None
    password_file: str | None = None
    ca_file: str | None = None
    max_concurrent: Annotated[int, msgspec.Meta(ge=1)] = 16
    private_hosts: list[str] = []


class Evict(Section, frozen=True):
    """`mirror.evict`: what is given up of the cache, and when; 0 is no limit."""

    max_size: Size = 200 << 30
    unused_for: Duration = 30 * 86400.0


class Mirror(Section, frozen=True):
    """`mirror`: pulling through from other registries.

    Once parsed, hosts are canonical, upstream mirrors are URLs without a slash at the end, and
    `serve_stale` is in seconds, infinite for ever. `enable_proxy` is also what `enableProxy` at the
    top says.
    """

    enable_proxy: bool = msgspec.field(default=False, name="enableProxy")
    upstream_mirror: list[str] = []
    upstream_only: bool = False
    fallback: list[str] = msgspec.field(default_factory=lambda: ["docker.io", "registry.k8s.io", "ghcr.io"])
    trust_registry_host_header: bool = True
    path_prefix: bool = True
    foreign_credentials: Literal["ignore", "reject"] = "ignore"
    allow: list[str] = msgspec.field(default_factory=lambda: ["**"])
    deny: list[str] = []
    reserved: list[str] = []
    tag_ttl: Duration = 300.0
    serve_stale: Staleness = float("inf")
    negative_ttl: Duration = 60.0
    evict: Evict = Evict()
    registries: dict[str, UpstreamRegistry] = {}

    def registry(self, host: str) -> UpstreamRegistry:
        """How to reach a registry, by its canonical host, whether or not it has a section; with its URL."""
        section = self.registries.get(host, UpstreamRegistry())
        return section if section.url else msgspec.structs.replace(section, url=_usual_url(host))


class Metrics(Section, frozen=True):
    """`metrics`: numbers for Prometheus."""

    enabled: bool = True


class Limits(Section, frozen=True):
    """`limits`: what one request may cost."""

    manifest_size: Size = 4 << 20
    upload_size: Size = 0
    upload_expiry: Duration = 86400.0
    body_timeout: Duration = 60.0
    header_size: Size = 64 << 10


class Access(Section, frozen=True):
    """`logging.access`: the access log."""

    file: str | None = "-"
    format: Literal["combined", "json"] = "combined"


class Audit(Section, frozen=True):
    """`logging.audit`: who has changed what."""

    file: str | None = None


class Logging(Section, frozen=True):
    """`logging`: what is written where."""

    level: Literal["debug", "info", "warn", "error", "critical"] = "info"
    format: Literal["text", "json"] = "text"
    access: Access = Access()
    audit: Audit = Audit()


class Config(Section, frozen=True):
    """The whole configuration.

    Whether there is a mirror, ask `mirror_enabled`.
    """

    version: Annotated[int, msgspec.Meta(ge=1, le=1)] = 1
    state_dir: str | None = None
    server: Server = Server()
    storage: Storage = Storage()
    repositories: Repositories = Repositories()
    signing: Signing = Signing()
    enable_proxy: bool = msgspec.field(default=False, name="enableProxy")
    mirror: Mirror = Mirror()
    auth: Auth | None = None
    authorization: Authorization = Authorization()
    limits: Limits = Limits()
    logging: Logging = Logging()
    metrics: Metrics = Metrics()

    @property
    def mirror_enabled(self) -> bool:
        """Whether anything may be fetched from upstream: `enableProxy`, wherever it stands."""
        return self.mirror.enable_proxy

    @property
    def auth_mode(self) -> str:
        """`auth.mode`, or what it is where nothing is said."""
        return "none" if self.auth is None else self.auth.mode

    @property
    def trusted_networks(self) -> list[IPv4Network | IPv6Network]:
        """`server.trusted_proxies`, parsed."""
        return [ip_network(one, strict=False) for one in self.server.trusted_proxies]

    @property
    def own_names(self) -> frozenset[str]:
        """The names under which this registry itself is addressed: `host`, or `host:port`, in canonical form."""
        names = set(self.server.own_names)
        if self.server.external_url:
            names.add(parse_configured_host(urlsplit(self.server.external_url).netloc))
        return frozenset(names)


def _usual_url(host: str) -> str:
    return _DOCKER_HUB_URL if host == _DOCKER_HUB else f"https://{host}"
