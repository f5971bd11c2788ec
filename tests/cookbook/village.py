"""The machines of the recipes, which are all this one: names, certificates, folders, and a shell.

It is a cell as that of tests.live, in which more of the machine is covered: packages are really installed there.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.live import cell
from tests.live.certificates import Certificates, issue
from tests.live.images import Images
from tests.live.tools import CommandFailed, run
from tests.repositories.packages import Workshop

PKG, CENTRAL, SITE = "10.0.0.1", "10.0.0.2", "10.0.0.3"
PROVIDER, INTERNET = "10.0.0.4", "9.9.9.9"
ELSEWHERE = cell.OUTER_ADDRESS
"""A client's address outside the company's network."""

NAMES = {
    "pkg.example.com": PKG,
    "central.example.com": CENTRAL,
    "site.example.com": SITE,
    "sso.example.com": PROVIDER,
    "gitlab.example.com": PROVIDER,
    "registry-1.docker.io": INTERNET,
    "registry.k8s.io": INTERNET,
}
PASSWORD = "the password of alice: 'öß' & \"$1\""

_COVERED = ("/etc", "/usr", "/var")
# Engines and pkgd want a file system that is none of the cell's covers.
_STATES = ("/var/lib/docker", "/var/lib/containerd", "/var/lib/pkgd")
_STORAGE_CONF = '[storage]\ndriver = "overlay"\ngraphroot = "{0}/containers"\nrunroot = "/run/containers-suite"\n'
_SPEC = """\
Name: hello
Version: 1.0
Release: 1
Summary: Says hello
License: MIT
%define _binary_payload w1.gzdio
%description
Says hello.
%install
mkdir -p %{buildroot}/usr/share/hello-rpm
echo hello > %{buildroot}/usr/share/hello-rpm/note
%files
/usr/share/hello-rpm/note
"""


@dataclass
class Village:
    """What every recipe gets."""

    scratch: Path
    certificates: Certificates
    images: Images
    layer: int
    """The size of a layer that goes through proxies, in MiB."""

    @property
    def work(self) -> Path:
        """The folder in which commands are typed; it has the packages that recipes speak of."""
        return self.scratch / "work"

    def shell(self, commands: str, **variables: str) -> str:
        """Type commands, until one fails; return what they print."""
        environment = {**os.environ, "PASSWORD": PASSWORD, **variables}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.work,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=300,
        )
        said = (done.stdout + done.stderr).decode(errors="replace")
        if done.returncode != 0:
            raise CommandFailed((commands.strip(),), f"exit status {done.returncode}", said)
        return said

    @contextmanager
    def state(self) -> Iterator[None]:
        """For the block, `/etc/pkgd` has the certificate and `/var/lib/pkgd` is empty; both are gone afterwards."""
        etc = Path("/etc/pkgd")
        shutil.rmtree(etc, ignore_errors=True)  # in the cover: what the machine itself has there stays
        etc.mkdir()
        shutil.copy(self.certificates.chain, etc / "tls.crt")
        shutil.copy(self.certificates.key, etc / "tls.key")
        (etc / "tls.key").chmod(0o600)
        try:
            yield
        finally:
            shutil.rmtree(etc)
            empty(Path("/var/lib/pkgd"))

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Put a file where a program looks for it."""
        file = Path(path).expanduser()
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        file.chmod(mode)

    @contextmanager
    def installed(self, files: dict[str, str]) -> Iterator[None]:
        """For the block, files are where programs look for them."""
        for path, text in files.items():
            self.write(path, text)
        try:
            yield
        finally:
            for path in files:
                Path(path).unlink()


def empty(folder: Path) -> None:
    """Delete everything in a folder."""
    for one in folder.iterdir():
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


def settle(scratch: Path, layer: int) -> Village:
    """Prepare the cell from inside."""
    scratch = cell.furnish(scratch, _COVERED)
    for address in (PKG, CENTRAL, SITE, PROVIDER, INTERNET):
        run("ip", "address", "add", f"{address}/32", "dev", "lo")
    lines = [f"{address} {name}" for name, address in NAMES.items()]
    Path("/etc/hosts").write_text("\n".join(["127.0.0.1 localhost", *lines, ""]))
    for state in _STATES:
        own = scratch / state.replace("/", "-")
        own.mkdir()
        Path(state).mkdir(parents=True, exist_ok=True)
        run("mount", "--bind", str(own), state)
    Path("/etc/containers/storage.conf").write_text(_STORAGE_CONF.format(scratch))
    certificates = issue(scratch / "certificates", [], [*NAMES, "localhost"])
    _trust(certificates)
    _forget_packages()
    _install_program(scratch / "bin/pkgd")
    village = Village(scratch, certificates, Images(scratch / "images"), layer)
    village.work.mkdir()
    _make_packages(village)
    return village


def _trust(certificates: Certificates) -> None:
    """As the cookbook's page says."""
    folder = Path("/usr/local/share/ca-certificates")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(certificates.authority, folder / "own-ca.crt")
    run("update-ca-certificates")


def _forget_packages() -> None:
    """The machine's own sources of packages are out of reach here."""
    Path("/etc/yum.repos.d").mkdir(exist_ok=True)  # which Debian's dnf lacks
    Path("/etc/apt/sources.list").write_text("")
    for folder in ("/etc/apt/sources.list.d", "/etc/yum.repos.d", "/etc/zypp/repos.d", "/var/lib/apt/lists"):
        if Path(folder).is_dir():
            empty(Path(folder))


def _install_program(path: Path) -> None:
    """`pkgd`, from this checkout."""
    path.parent.mkdir()
    root = Path(__file__).parents[2]
    path.write_text(f'#!/bin/sh\nPYTHONPATH={root} exec {sys.executable} -m pkgd "$@"\n')
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    os.environ["PATH"] = f"{path.parent}:{os.environ['PATH']}"


def _make_packages(village: Village) -> None:
    workshop = Workshop(village.scratch / "packages")
    shutil.copy(workshop.deb("hello", architecture="amd64"), village.work)
    spec, top = village.scratch / "hello.spec", village.scratch / "rpmbuild"
    spec.write_text(_SPEC)
    run("rpmbuild", "-bb", "--quiet", "--target", "x86_64", "--define", f"_topdir {top}", str(spec))
    shutil.copy(top / "RPMS/x86_64/hello-1.0-1.x86_64.rpm", village.work)
