"""Package repositories, what signs and what serves them, made from the configuration: their part of the composition."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.config import AptRepository as AptSection
from pkgd.config import AptSuite, Config, SigningKey, read_passphrase
from pkgd.config import RpmRepository as RpmSection
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

__all__ = ["PackageParts", "apt_settings", "host_packages", "rpm_settings", "signers_of"]

_Signers = Mapping[str, StartedSigner]


@frozen
class PackageParts:
    """What of the package repositories has a life of its own, and their doors."""

    tree: DurableTree
    store: LocalStore
    spool: Spool
    signers: _Signers
    site: Site
    pending: Pending
    doors: PackagesApi
    api: ApiV1

    @property
    def repositories(self) -> list[AptRepository | RpmRepository]:
        """All of them."""
        apt = [one.repository for one in self.site.apt.values()]
        return [*apt, *(one.repository for one in self.site.rpm.values())]


def host_packages(
    reactor: Any, config: Config, gate: Gate, fs: FileSystem, blocking: Blocking, tasks: Tasks
) -> PackageParts:
    """Make the repositories that are configured, their store below the state directory, and their doors.

    :raises ConfigError: if a file that the configuration names cannot be used.
    """
    files = config.storage.filesystem
    tree = DurableTree(str(config.state_dir), fs, files.fsync)
    spool = Spool(tree, SPOOL)
    store = LocalStore(tree, blocking, spool)
    space = FreeSpace(tree, blocking, reactor, int(files.min_free))
    signers = signers_of(reactor, config, blocking)
    apt = {
        one.name: Hosted(
            AptRepository(apt_settings(one), store, spool, blocking, signers[one.signing_key], reactor),
            signers[one.signing_key],
        )
        for one in config.repositories.apt
    }
    rpm = {one.name: _hosted_rpm(one, store, spool, blocking, signers, reactor) for one in config.repositories.rpm}
    site = Site(apt, rpm)
    receiver = Receiver(spool, space, blocking, int(config.limits.upload_size))
    pending = Pending(receiver, reactor.seconds)
    sets = Sets(receiver, pending, spool, blocking)
    doors = PackagesApi(
        gate,
        site,
        Table(AptEndpoints(receiver, sets, blocking, gate.outside).endpoints()),
        Table(RpmEndpoints(receiver, blocking, reactor.seconds, gate.outside).endpoints()),
        tasks,
    )
    return PackageParts(tree, store, spool, signers, site, pending, doors, ApiV1(gate, site, blocking, tasks))


def _hosted_rpm(
    section: RpmSection, store: LocalStore, spool: Spool, blocking: Blocking, signers: _Signers, reactor: Any
) -> Hosted[RpmRepository]:
    signer = signers[section.signing_key]
    return Hosted(RpmRepository(rpm_settings(section), store, spool, blocking, signer, reactor, signer), signer)


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
    return StartedSigner(name, opening, blocking, reactor)
