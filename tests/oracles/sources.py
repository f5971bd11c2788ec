"""Debian's source packages as a corpus: downloaded once into a cache, by apt and without a change to the machine."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.debian import install

__all__ = ["CACHE", "NotAvailable", "fetch_sources", "members", "require"]

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pkgd-oracles"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_MIRROR = "http://deb.debian.org/debian"
_SUITE = "bookworm"


class NotAvailable(Exception):
    """What a suite needs of the machine is not there, and cannot be had."""


def require(packages: dict[str, str]) -> None:
    """Install the Debian packages of those files or programs that are absent.

    :param packages: path or program to package.
    :raises NotAvailable: if one is still absent then.
    """
    missing = [package for wanted, package in packages.items() if not _is_there(wanted)]
    if missing:
        with suppress(subprocess.CalledProcessError, FileNotFoundError):
            install(missing)
    absent = [wanted for wanted in packages if not _is_there(wanted)]
    if absent:
        raise NotAvailable(f"{', '.join(absent)}: absent, and cannot be installed")


def _is_there(wanted: str) -> bool:
    return Path(wanted).exists() if wanted.startswith("/") else shutil.which(wanted) is not None


def fetch_sources(*packages: str) -> list[Path]:
    """The upstream archives of source packages.

    :raises NotAvailable: if apt cannot get them.
    """
    place = CACHE / "sources"
    place.mkdir(parents=True, exist_ok=True)
    found = _archives(place, packages)
    if len(found) < len(packages):
        _download(place, packages)
        found = _archives(place, packages)
    if len(found) < len(packages):
        raise NotAvailable(f"sources of {', '.join(packages)}: only {len(found)} archives came")
    return found


def _archives(place: Path, packages: tuple[str, ...]) -> list[Path]:
    return [path for package in packages for path in sorted(place.glob(f"{package}_*.orig.tar.*"))[:1]]


def _download(place: Path, packages: tuple[str, ...]) -> None:
    apt = place / "apt"
    for directory in ("lists/partial", "cache/archives/partial"):
        (apt / directory).mkdir(parents=True, exist_ok=True)
    (apt / "sources.list").write_text(f"deb-src [signed-by={_KEYRING}] {_MIRROR} {_SUITE} main\n")
    settings = {
        "Dir::Etc::sourcelist": f"{apt}/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": f"{apt}/lists",
        "Dir::Cache": f"{apt}/cache",
        "APT::Sandbox::User": "",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    for command in (["update"], ["source", "--download-only", *packages]):
        done = subprocess.run(["apt-get", "-q", *options, *command], cwd=place, capture_output=True, text=True)
        if done.returncode:
            raise NotAvailable(f"apt-get {' '.join(command)}: {done.stderr.strip()[-500:]}")


def members(archives: list[Path], pattern: str) -> Iterator[tuple[str, bytes]]:
    """The distinct files of archives whose names match, each with its base name."""
    wanted, seen = re.compile(pattern), set()
    for archive in archives:
        with tarfile.open(archive) as opened:
            for member in opened:
                if not member.isfile() or not wanted.search(member.name):
                    continue
                content = opened.extractfile(member)
                data = content.read() if content else b""
                digest = hashlib.sha256(data).digest()
                if digest not in seen:
                    seen.add(digest)
                    yield Path(member.name).name, data
