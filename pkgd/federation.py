"""Who else vouches for users, made from the configuration: back ends of passwords, issuers of workloads' tokens."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen
from twisted.logger import Logger

from pkgd.auth.backendcall import BackEndCall, Question
from pkgd.auth.backends import ApiBackEnd, BackEndSettings
from pkgd.auth.claims import Requirements, Template
from pkgd.auth.discovery import Issuers
from pkgd.auth.jwk import KeySet, parse_jwks, parse_public_keys, secret_keys
from pkgd.auth.jwks import RemoteKeys, StaticKeys
from pkgd.auth.jwtverify import TokenRules, Verifier
from pkgd.auth.workload import ByClaims, ByTemplates, Issuer, Workloads
from pkgd.config import ApiBackend, Config, Workload, is_plain, read_key_file
from pkgd.errors import AuthUnavailable, ConfigError
from pkgd.flow import BufferPool
from pkgd.formats.hosts import configured_authority
from pkgd.outbound.client import Client, Limits, Trust

__all__ = ["Federation", "Voucher", "federate"]

log = Logger()

# How long a back end may take to be reached, in seconds.
CONNECT_SECONDS = 3.0
# Buffers for answers, which are small.
_BUFFER_BYTES = 64 << 10
_BUFFERS = 128

_HMACS = frozenset(["HS256", "HS384", "HS512"])
_NO_KEYS = (
    "{name} publishes no keys: its tokens are believed without a signature, for nothing but the TLS connection that"
    " they come through; jwks_url names its keys, and require_signature: true refuses what is not signed"
)
_PLAIN = "{name} is asked over plain HTTP (allow_insecure_http): whoever is on the way reads and changes what is said"


@frozen
class Voucher:
    """One back end or issuer: `path` is its place in the configuration.

    `call` is None for whom no password is sent to; `keys` is None where they are configured.
    """

    path: str
    name: str
    client: Client
    keys: RemoteKeys | None
    call: BackEndCall | None = None
    is_plain: bool = False


@frozen
class Federation:
    """All of them: `backends` in the order in which they are asked. `made_of` tells whether others are the same."""

    vouchers: Sequence[Voucher]
    backends: Sequence[ApiBackEnd]
    workloads: Workloads | None
    made_of: object = None

    async def look(self) -> None:
        """Warn of what is weaker than it could be, and fetch keys before they are needed; nobody waits for that."""
        for one in self.vouchers:
            if one.is_plain:
                log.warn(_PLAIN, name=one.name)
            try:
                if one.keys is not None and await one.keys.keys() is None:
                    log.warn(_NO_KEYS, name=one.name)
            except AuthUnavailable:
                pass  # which has been logged; whoever logs in asks again

    def forget(self) -> None:
        """Ask everybody again."""
        for backend in self.backends:
            backend.forget()
        for one in self.vouchers:
            if one.keys is not None:
                one.keys.expire()

    async def close(self) -> None:
        """End what is asked, and close all connections."""
        for one in self.vouchers:
            await one.client.close()


def federate(
    reactor: Any, config: Config, now: Callable[[], float], is_local: Callable[[str], bool] = lambda _: False
) -> Federation:
    """Make those of the configuration; back ends of passwords only in the mode that asks them.

    :param now: seconds since the epoch.
    :param is_local: whether a name is that of a user of this server's own.
    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    auth = config.auth
    if auth is None or auth.mode == "none":
        return Federation([], [], None)
    maker = _Maker(reactor, config, now, is_local)
    if auth.mode == "basic":
        for at, backend in enumerate(auth.basic_api_backends):
            maker.add_backend(backend, f"auth.basic_api_backends[{at}]")
    for at, workload in enumerate(auth.oidc.workload):
        maker.add_workload(workload, f"auth.oidc.workload[{at}]")
    workloads = Workloads(maker.issuers, now, is_local) if maker.issuers else None
    made_of = (auth.mode, auth.basic_api_backends, auth.oidc.workload, _service(config), maker.files)
    return Federation(maker.vouchers, maker.backends, workloads, made_of)


class _Maker:
    """Makes one after the other."""

    def __init__(self, reactor: Any, config: Config, now: Callable[[], float], is_local: Callable[[str], bool]) -> None:
        self.vouchers: list[Voucher] = []
        self.backends: list[ApiBackEnd] = []
        self.issuers: list[Issuer] = []
        self.files: dict[str, bytes] = {}
        self._reactor = reactor
        self._service = _service(config)
        self._now = now
        self._is_local = is_local
        self._buffers = BufferPool(_BUFFER_BYTES, _BUFFERS)

    def add_backend(self, section: ApiBackend, path: str) -> None:
        """A service that knows users and passwords; perhaps clients may bring its tokens themselves, too."""
        name = str(section.name)
        urls = [section.url, section.jwks_url, section.issuer]
        trust = Trust(
            section.ca_file, _may_be_private(urls, section.private_hosts), section.client_cert, section.client_key
        )
        client = self._client(trust, section.timeout, path)
        keys = self._keys(section, path, name, Issuers(client, self._reactor, section.allow_insecure_http))
        if section.secret_file is not None:
            keys = StaticKeys(self._read(section.secret_file, f"{path}.secret_file", _secret))
        audience = () if section.audience is None else (section.audience,)
        rules = TokenRules(section.issuer, audience, _algorithms(section), section.max_token_lifetime)
        question = Question(
            section.url,
            section.method,
            self._service if section.request_body == "service" else None,
            tuple(section.token_fields),
        )
        call = BackEndCall(question, client)
        verifier = Verifier(keys, rules, trusts_channel=not section.require_signature)
        settings = BackEndSettings(
            name,
            section.user_globs,
            section.username_claim,
            section.match_username,
            section.groups_claim,
            section.on_reject,
            section.timeout,
            section.cache_ttl,
        )
        self.backends.append(ApiBackEnd(settings, call, verifier, self._reactor, self._now, self._is_local))
        remote = keys if isinstance(keys, RemoteKeys) else None
        self.vouchers.append(Voucher(path, name, client, remote, call, _is_any_plain(urls)))
        if section.accept_direct and section.issuer is not None:
            mapper = ByClaims(section.username_claim, section.groups_claim)
            self.issuers.append(Issuer(section.issuer, Verifier(keys, rules), mapper))

    def add_workload(self, section: Workload, path: str) -> None:
        """An issuer of tokens for jobs and services."""
        urls = [section.jwks_url, section.issuer]
        trust = Trust(section.ca_file, _may_be_private(urls, section.private_hosts))
        client = self._client(trust, CONNECT_SECONDS, path)
        keys = self._keys(section, path, section.issuer, Issuers(client, self._reactor, section.allow_insecure_http))
        rules = TokenRules(section.issuer, tuple(section.audience), _algorithms(section), section.max_token_lifetime)
        required = {name: _words(value) for name, value in section.require.items()}
        mapper = ByTemplates(
            Template(section.username), [Template(one) for one in section.groups], Requirements(required)
        )
        self.issuers.append(Issuer(section.issuer, Verifier(keys, rules), mapper))
        remote = keys if isinstance(keys, RemoteKeys) else None
        self.vouchers.append(Voucher(path, section.issuer, client, remote, is_plain=_is_any_plain(urls)))

    def _client(self, trust: Trust, seconds: float, path: str) -> Client:
        limits = Limits(connect=CONNECT_SECONDS, tls=CONNECT_SECONDS, first_byte=seconds, idle=seconds)
        try:
            return Client(self._reactor, trust, limits, self._buffers)
        except ConfigError as error:
            raise ConfigError(path, error.reason) from error

    def _keys(self, section: ApiBackend | Workload, path: str, name: str, issuers: Issuers) -> RemoteKeys | StaticKeys:
        """Where the keys are that its tokens are signed with."""
        if section.jwks_file is not None:
            return StaticKeys(self._read(section.jwks_file, f"{path}.jwks_file", parse_jwks))
        if section.public_key_file is not None:
            return StaticKeys(self._read(section.public_key_file, f"{path}.public_key_file", parse_public_keys))
        ask: Callable[[], Any]
        if section.jwks_url is not None:
            ask = partial(issuers.keys_at, section.jwks_url)
        elif section.issuer is not None:
            ask = partial(issuers.keys_of, section.issuer)
        else:
            assert isinstance(section, ApiBackend), "a workload has an issuer"
            ask = partial(issuers.keys_beside, section.url)
        return RemoteKeys(name, ask, self._now)

    def _read(self, file: str, path: str, parse: Callable[[bytes], KeySet]) -> KeySet:
        """Keys of a file."""
        self.files[path] = read_key_file(file, path)
        try:
            return parse(self.files[path])
        except ValueError as error:
            raise ConfigError(path, f"{file}: {error}") from None


def _secret(data: bytes) -> KeySet:
    return secret_keys(data.removesuffix(b"\n").removesuffix(b"\r"))


def _algorithms(section: ApiBackend | Workload) -> frozenset[str]:
    """Those that are configured; without a word, all that fit the kind of keys."""
    if section.algorithms is not None:
        return frozenset(section.algorithms)
    with_secret = isinstance(section, ApiBackend) and section.secret_file is not None
    return _HMACS if with_secret else TokenRules().algorithms


def _may_be_private(urls: Sequence[str | None], others: Sequence[str]) -> frozenset[str]:
    """What the operator has written down may be anywhere; what these point to only if it is listed beside them."""
    return frozenset([*(_authority(url) for url in urls if url is not None), *map(configured_authority, others)])


def _authority(url: str) -> str:
    """Host and port of a URL, the port always there: no other port of the host is meant."""
    parts = urlsplit(url)
    return f"{(parts.hostname or '').rstrip('.')}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _is_any_plain(urls: Sequence[str | None]) -> bool:
    return any(is_plain(url) for url in urls if url is not None)


def _service(config: Config) -> str:
    """What this server is called, as in its own tokens."""
    url, auth = config.server.external_url, config.auth
    return (auth and auth.token.service) or (url and url.partition("://")[2]) or "pkgd"


def _words(value: str | bool | list[str]) -> list[str]:
    if isinstance(value, bool):
        return ["true" if value else "false"]
    return [value] if isinstance(value, str) else value
