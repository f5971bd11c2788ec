"""pkgd with the repositories of these tests, and its repositories without a daemon, for looking at many states."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from pkgd.config import load
from pkgd.hosting import apt_settings, rpm_settings, signers_of
from pkgd.packages.apt import AptRepository
from pkgd.packages.rpm import RpmRepository
from tests.crash.packages.judge import SUITES
from tests.crash.server import ForgetfulPkgd, HastyPkgd, Pkgd
from tests.packages.fixtures import Ground, result
from tests.repositories.web import Web


class PackagePkgd(Pkgd):
    """pkgd as it is."""

    def configuration(self) -> dict[str, object]:
        """With two suites and an rpm repository, and a kind of key that is made quickly."""
        repositories = {"apt": [{"name": "main", "suites": [{"codename": one} for one in SUITES]}]}
        signing = {"keys": {"default": {"algorithm": "ed25519"}}}
        return {**super().configuration(), "repositories": repositories, "signing": signing}

    def command(self) -> list[str]:
        """As others, but always from this checkout."""
        return [sys.executable, "-m", "pkgd", *super().command()[-3:]]

    @property
    def web(self) -> Web:
        """The server, by HTTP."""
        return Web("127.0.0.1", self.port)

    def key_command(self, *words: str) -> str:
        """Run `pkgd signing-key`."""
        command = [sys.executable, "-m", "pkgd", "signing-key", *words[:1], *self.command()[-2:], *words[1:]]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout


class HastyPackages(PackagePkgd, HastyPkgd):
    """One that does not fsync."""


class ForgetfulPackages(PackagePkgd, ForgetfulPkgd):
    """One that fsyncs files, but no directories."""


class Unserved:
    """The repositories of a state, started as the daemon starts them, in this process."""

    def __init__(self, configuration: Path, state: Path) -> None:
        config = load(str(configuration), {})
        ground = Ground(str(state), in_memory=False)
        ground.clock.advance(time.time() - ground.clock.seconds())
        self._ground = ground
        ground.spool.prepare()
        (self._signer,) = signers_of(ground.clock, config, ground.blocking).values()
        result(self._signer.start())
        common = (ground.store, ground.spool, ground.blocking, self._signer, ground.clock)
        self._repositories: dict[str, AptRepository | RpmRepository] = {
            "apt": AptRepository(apt_settings(config.repositories.apt[0]), *common),
            "rpm": RpmRepository(rpm_settings(config.repositories.rpm[0]), *common),
        }
        for one in self._repositories.values():
            result(one.start())

    def fetch(self, path: str) -> bytes:
        """A file by its URL's path."""
        _, kind, _, below = path.split("/", 3)
        if below == "key.asc":
            return self._signer.public_keys()
        return self._ground.read(result(self._repositories[kind].open(below)))
