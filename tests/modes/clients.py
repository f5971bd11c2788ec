"""What apt and dnf read: the lists of the repositories, and every package, by its hash."""

from __future__ import annotations

import hashlib
from base64 import b64encode
from pathlib import Path

from tests.modes.server import ModalPkgd
from tests.repositories.aptclient import Apt
from tests.repositories.rpmclients import Dnf

__all__ = ["PROGRAMS", "header", "reads"]

PROGRAMS = {"apt-get": "apt", "apt-cache": "apt", "dnf": "dnf", "rpm": "rpm"}
Login = tuple[str, str] | None


def header(login: Login) -> dict[str, str]:
    """The header with a name and a password, if there are any."""
    return {} if login is None else {"Authorization": "Basic " + b64encode(":".join(login).encode()).decode("ascii")}


def reads(server: ModalPkgd, folder: Path, login: Login) -> dict[str, str]:
    """Each package that the two have downloaded, with their caches empty before, and the hash of its bytes.

    :param folder: which is not there yet.
    """
    folder.mkdir()
    return {**_apt(server, folder / "apt", login), **_dnf(server, folder / "dnf", login)}


def _apt(server: ModalPkgd, folder: Path, login: Login) -> dict[str, str]:
    settings = []
    if login is not None:
        netrc = folder.with_suffix(".netrc")
        netrc.write_text(f"machine {server.url} login {login[0]} password {login[1]}\n")
        settings = [f'Dir::Etc::netrc "{netrc}";']
    apt = Apt(folder, settings)
    apt.add_source(server.ask("GET", "/apt/main/stable.sources", header(login)).body)
    apt.update()
    for line in apt("apt-cache", "madison", "hello").splitlines():
        apt("apt-get", "download", f"hello={line.split('|')[1].strip()}")
    return _hashes(apt.downloads)


def _dnf(server: ModalPkgd, folder: Path, login: Login) -> dict[str, str]:
    folder.mkdir()
    repository = server.ask("GET", "/rpm/main/pkgd.repo", header(login)).body
    if login is not None:
        repository += f"\nusername={login[0]}\npassword={login[1]}\n".encode()
    dnf = Dnf(folder, repository)
    dnf.update()
    dnf("install", "--downloadonly", f"--downloaddir={folder}/downloads", *dnf.names())
    return _hashes(folder / "downloads")


def _hashes(folder: Path) -> dict[str, str]:
    return {one.name: hashlib.sha256(one.read_bytes()).hexdigest() for one in folder.iterdir()}
