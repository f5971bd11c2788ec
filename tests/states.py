"""State directories of tests, filled: the repositories of a configuration, and the registry's files."""

from __future__ import annotations

from pathlib import Path

from pkgd.config import Config
from pkgd.formats.digest import Digest
from pkgd.hosting import apt_settings, rpm_settings, signers_of
from pkgd.packages.apt import AptRepository
from pkgd.packages.rpm import RpmRepository
from tests.packages.fixtures import Ground, result

__all__ = ["put_object", "started"]


def started(ground: Ground, config: Config) -> tuple[AptRepository, RpmRepository]:
    """The first repository of each kind, as a start finds them."""
    (signer,) = signers_of(ground.clock, config, ground.blocking).values()
    result(signer.start())
    common = (ground.store, ground.spool, ground.blocking, signer, ground.clock)
    apt = AptRepository(apt_settings(config.repositories.apt[0]), *common)
    rpm = RpmRepository(rpm_settings(config.repositories.rpm[0]), *common)
    result(apt.start())
    result(rpm.start())
    return apt, rpm


def put_object(state: str, repository: str, folder: str, data: bytes) -> Path:
    """Put a blob or manifest into the tree; returns its file."""
    path = Path(state, "oci", repository, folder, Digest.of(data).encoded)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
