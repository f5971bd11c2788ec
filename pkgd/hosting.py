"""Package repositories, what signs and what serves them, made from the configuration: their part of the composition."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen
from twisted.internet.defer import DeferredLock
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.config import AptRepository as AptSection
from pkgd.config import AptSuite, Config, SigningKey, read_passphrase
from pkgd.config import RpmRepository as RpmSection
from pkgd.errors import ConfigError, PkgdError, SigningError
from pkgd.metrics import Metrics
from pkgd.packages.apt import AptRepository
from pkgd.packages.gnupgsigner import GnupgSettings
from pkgd.packages.layout import SPOOL
from pkgd.packages.records import AptSettings, Clock, RpmSettings, SuiteSettings, Window
from pkgd.packages.rpm import RpmRepository
from pkgd.packages.signers import StartedSigner, gnupg_key, key_file, key_ring
from pkgd.sharing import Tasks
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.local import LocalStore
from pkgd.storage.space import FreeSpace
from pkgd.storage.spool import Spool
from pkgd.web.api.packages import ApiV1
from pkgd.web.gate import Gate
from pkgd.web.packages.api import PackagesApi, Table
from pkgd.web.packages.apt import AptEndpoints
from pkgd.web.packages.endpoint import Hosted, Site
from pkgd.web.packages.pending import Pending
from pkgd.web.packages.receiving import Receiver
from pkgd.web.packages.rpm import RpmEndpoints
from pkgd.web.packages.sets import Sets

__all__ = ["PackageHost", "PackageParts", "apt_settings", "package_repositories", "rpm_settings", "signers_of"]

log = Logger()

_Signers = Mapping[str, StartedSigner]
_Repository = AptRepository | RpmRepository


@frozen
class PackageParts:
    """What one configuration says of package repositories, and their doors."""

    config: Config
    signers: _Signers
    site: Site
    doors: PackagesApi
    api: ApiV1


class PackageHost:
    """The repositories, each made once however often the configuration changes, and their store."""

    def __init__(
        self, reactor: Any, config: Config, fs: FileSystem, blocking: Blocking, tasks: Tasks, metrics: Metrics
    ) -> None:
        files = config.storage.filesystem
        self._reactor = reactor
        self._blocking = blocking
        self._tasks = tasks
        self.tree = DurableTree(str(config.state_dir), fs, files.fsync)
        self.spool = Spool(self.tree, SPOOL)
        self.space = FreeSpace(self.tree, blocking, reactor, int(files.min_free))
        self.store = LocalStore(self.tree, blocking, self.spool, metrics.storage.operation)
        self._metrics = metrics.publishing
        self.pending = Pending(self._receiver(config), reactor.seconds)
        # All that have ever been configured: what still arrives for one must not meet a second of its name.
        self._apt: dict[str, AptRepository] = {}
        self._rpm: dict[str, RpmRepository] = {}
        # Those that have not been read yet: whoever wrote to one would begin it anew.
        self._waiting: list[_Repository] = []
        # Those that have yet to publish what a new configuration says.
        self._changed: list[_Repository] = []
        # Those that are configured now.
        self._current: list[_Repository] = []
        self.signers: _Signers = {}
        self._turn = DeferredLock()

    @property
    def repositories(self) -> list[_Repository]:
        """All of them that have been read, those too that are not configured any more."""
        return [one for one in self._all() if one not in self._waiting]

    @property
    def current(self) -> list[_Repository]:
        """Those that are configured, and have been read."""
        return [one for one in self._current if one not in self._waiting]

    def _all(self) -> list[_Repository]:
        return [*self._apt.values(), *self._rpm.values()]

    def compose(self, config: Config, gate: Gate, suspect: Callable[[str, str], None]) -> PackageParts:
        """What a configuration says. Nothing changes until `take_effect`.

        :param suspect: see `AptEndpoints`.
        :raises ConfigError: if a file that the configuration names cannot be used.
        """
        sections = config.repositories
        signers = signers_of(self._reactor, config, self._blocking)
        apt = {one.name: Hosted(self._apt_of(one, signers), signers[one.signing_key]) for one in sections.apt}
        rpm = {one.name: Hosted(self._rpm_of(one, signers), signers[one.signing_key]) for one in sections.rpm}
        site = Site(apt, rpm, self._waiting)
        receiver = self._receiver(config)
        sets = Sets(receiver, self.pending, self.spool, self._blocking)
        doors = PackagesApi(
            gate,
            site,
            Table(AptEndpoints(receiver, sets, self._blocking, gate.outside, suspect).endpoints()),
            Table(RpmEndpoints(receiver, self._blocking, self._reactor.seconds, gate.outside, suspect).endpoints()),
            self._tasks,
        )
        return PackageParts(config, signers, site, doors, ApiV1(gate, site, self._blocking, self._tasks))

    async def prepare(self, parts: PackageParts) -> None:
        """Read the keys that a configuration names.

        :raises ConfigError: if one cannot be used that is new, or could be used until now.
        """
        for name, signer in parts.signers.items():
            await signer.start()
            before = self.signers.get(name)
            if not signer.is_usable and (before is None or before.is_usable):
                raise ConfigError(f"signing.keys.{name}", signer.problem)

    def take_effect(self, parts: PackageParts) -> None:
        """Be what a configuration says, from now on; `start_waiting` reads what is new and publishes what changes."""
        self.space.floor = int(parts.config.storage.filesystem.min_free)
        self.signers = parts.signers
        for apt in parts.config.repositories.apt:
            if apt.name in self._apt:
                self._apt[apt.name].adopt(apt_settings(apt), parts.signers[apt.signing_key])
                self._changed.append(self._apt[apt.name])
            else:
                self._apt[apt.name] = parts.site.apt[apt.name].repository
                self._waiting.append(self._apt[apt.name])
        for rpm in parts.config.repositories.rpm:
            signer = parts.signers[rpm.signing_key]
            if rpm.name in self._rpm:
                self._rpm[rpm.name].adopt(rpm_settings(rpm), signer, signer)
                self._changed.append(self._rpm[rpm.name])
            else:
                self._rpm[rpm.name] = parts.site.rpm[rpm.name].repository
                self._waiting.append(self._rpm[rpm.name])
        sections = parts.config.repositories
        self._current = [self._apt[one.name] for one in sections.apt] + [self._rpm[one.name] for one in sections.rpm]

    async def start_waiting(self) -> None:
        """Start the repositories that could not be started before, and publish what has changed.

        What cannot be begun is no reason not to serve the rest; it is to be called again.
        """
        # A probe and a reload may come together; who reads a repository twice at a time may lose what is published.
        async with self._turn:
            for queue in (self._waiting, self._changed):
                for repository in dict.fromkeys(queue):
                    try:
                        await repository.start()
                    except SigningError:
                        pass  # the key has been complained about; the first upload tries again
                    except PkgdError as error:
                        name = repository.settings.name
                        log.error("the package repository {name} is not there yet: {why}", name=name, why=error.message)
                        continue
                    queue[:] = [one for one in queue if one is not repository]

    async def sweep(self) -> None:
        """Give up the generations of package repositories that are out of their window."""
        for repository in self.repositories:
            await repository.sweep()

    async def finished(self) -> None:
        """Wait for publishes, which belong to nobody, and end what they have begun."""
        for repository in self._all():
            await repository.finished()

    def _receiver(self, config: Config) -> Receiver:
        return Receiver(self.spool, self.space, self._blocking, int(config.limits.upload_size))

    def _apt_of(self, section: AptSection, signers: _Signers) -> AptRepository:
        found = self._apt.get(section.name)
        if found is not None:
            return found
        signer, told = signers[section.signing_key], self._metrics.of("apt", section.name)
        settings = apt_settings(section)
        return AptRepository(settings, self.store, self.spool, self._blocking, signer, self._reactor, told)

    def _rpm_of(self, section: RpmSection, signers: _Signers) -> RpmRepository:
        found = self._rpm.get(section.name)
        if found is not None:
            return found
        signer, told = signers[section.signing_key], self._metrics.of("rpm", section.name)
        settings, store = rpm_settings(section), self.store
        return RpmRepository(settings, store, self.spool, self._blocking, signer, self._reactor, signer, told)


@frozen
class _WallClock:
    """For who has no reactor: nothing has to be waited for."""

    def seconds(self) -> float:
        """Seconds since the epoch."""
        return time.time()

    def callLater(self, delay: float, call: Callable[[], None]) -> IDelayedCall:
        raise AssertionError("there is nobody to wait for")


async def package_repositories(config: Config, blocking: Blocking, is_publishing: bool) -> list[_Repository]:
    """Those of a configuration, loaded, for a command on the state of a daemon that is stopped.

    :param is_publishing: whether something is to be published, for which keys are needed.
    :raises Storage: if what is published cannot be read.
    """
    clock = _WallClock()
    tree = DurableTree(str(config.state_dir), FileSystem(), config.storage.filesystem.fsync)
    spool = Spool(tree, SPOOL)
    store, signers = LocalStore(tree, blocking, spool), signers_of(clock, config, blocking)
    if is_publishing:
        for one in signers.values():
            await one.start()
    common = (store, spool, blocking)
    found: list[_Repository] = [
        AptRepository(apt_settings(one), *common, signers[one.signing_key], clock) for one in config.repositories.apt
    ]
    found += [
        RpmRepository(rpm_settings(one), *common, signers[one.signing_key], clock, signers[one.signing_key])
        for one in config.repositories.rpm
    ]
    for repository in found:
        await repository.load()
    return found


def rpm_settings(section: RpmSection) -> RpmSettings:
    """What the configuration says of an rpm repository."""
    return RpmSettings(
        name=section.name,
        form=section.compression,
        sign_packages=section.sign_packages,
        window=Window(section.keep_generations),
    )


def apt_settings(section: AptSection) -> AptSettings:
    """What the configuration says of an apt repository."""
    return AptSettings(
        name=section.name,
        suites=tuple(_suite(one) for one in section.suites),
        forms=tuple(section.compression),
        contents=section.contents,
        valid_for=None if section.valid_for is None else int(section.valid_for),
        window=Window(section.keep_generations),
    )


def _suite(section: AptSuite) -> SuiteSettings:
    return SuiteSettings(
        codename=section.codename,
        components=tuple(section.components),
        architectures=tuple(section.architectures),
        origin=section.origin or "",
        label=section.label or "",
        description=section.description or "",
        not_automatic=section.not_automatic,
        but_automatic_upgrades=section.but_automatic_upgrades,
    )


def signers_of(reactor: Clock, config: Config, blocking: Blocking) -> _Signers:
    """The keys that repositories use, by their names."""
    repositories = config.repositories
    used = [*(one.signing_key for one in repositories.apt), *(one.signing_key for one in repositories.rpm)]
    names = dict.fromkeys(used)
    return {name: _signer(name, config.signing.key(name), config, blocking, reactor) for name in names}


def _signer(name: str, key: SigningKey, config: Config, blocking: Blocking, reactor: Clock) -> StartedSigner:
    if key.backend == "gnupg":
        opening = gnupg_key(GnupgSettings(str(key.fingerprint), key.gpg, key.homedir), blocking, reactor)
    elif key.key_file is not None:
        opening = key_file(key.key_file, read_passphrase(name, key), blocking, reactor)
    else:
        # `pkgd signing-key` keeps those of the default key.
        folder = "keys" if name == "default" else f"keys-{name}"
        directory = os.path.join(str(config.state_dir), folder)
        opening = key_ring(directory, key.algorithm, read_passphrase(name, key), blocking, reactor)
    return StartedSigner(name, opening)
