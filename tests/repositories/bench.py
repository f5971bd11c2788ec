"""What every group gets: the servers, a folder, packages, and clients of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import NamedTuple

from tests.repositories.aptclient import Apt
from tests.repositories.packages import Workshop
from tests.repositories.rpmclients import Dnf, Zypper
from tests.repositories.server import PackageServer
from tests.repositories.web import Web


class Case(NamedTuple):
    """One line of the report: what must be so, and the trial, which raises if it isn't."""

    name: str
    trial: Callable[[], None]


@dataclass
class Bench:
    """One group's bench."""

    server: PackageServer
    scratch: Path
    _number: count[int] = field(default_factory=count)

    @property
    def web(self) -> Web:
        """The server, by HTTP."""
        return self.server.web

    @property
    def workshop(self) -> Workshop:
        """Where packages are made; each time a folder of its own."""
        return Workshop(self.folder("packages"))

    def folder(self, name: str) -> Path:
        """A new folder."""
        folder = self.scratch / f"{name}-{next(self._number)}"
        folder.mkdir(parents=True)
        return folder

    def apt(self, repository: str, suite: str = "stable", *settings: str) -> Apt:
        """An apt that knows this suite alone, from the file that the server offers for it."""
        apt = Apt(self.folder("apt"), settings)
        apt.add_source(self.web.get(f"/apt/{repository}/{suite}.sources"))
        return apt

    def dnf(self, repository: str) -> Dnf:
        """A dnf that knows this repository alone, from the file that the server offers for it."""
        return Dnf(self.folder("dnf"), self.web.get(f"/rpm/{repository}/pkgd.repo"))

    def zypper(self) -> Zypper:
        """A zypper that knows nothing."""
        return Zypper(self.folder("zypper"))
