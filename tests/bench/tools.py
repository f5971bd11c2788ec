"""The programs that the bench drives: each is installed where it is absent, and its absence afterwards is an error."""

import os
import shutil
import subprocess

SEARCH_PATH = f"{os.environ.get('PATH', '')}:/usr/local/sbin:/usr/sbin:/sbin"

PACKAGES = {
    "docker-registry": ("docker-registry",),
    "nginx": ("nginx-light",),
    "wrk": ("wrk",),
    "gcc": ("gcc", "libc6-dev"),
    "gpg": ("gpg", "gpg-agent"),
    "gpgconf": ("gpg",),
    "reprepro": ("reprepro",),
    "aptly": ("aptly",),
    "createrepo_c": ("createrepo-c",),
}


def tool(program: str) -> str:
    """The path of a program, installed with apt-get first if need be."""
    path = _find(program)
    if path is None:
        _install(PACKAGES[program])
        path = _find(program)
    if path is None:
        raise FileNotFoundError(f"{program} isn't there, though {' '.join(PACKAGES[program])} is installed")
    return path


def _find(program: str) -> str | None:
    return shutil.which(program, path=SEARCH_PATH)


def _install(packages: tuple[str, ...]) -> None:
    if not _apt_get("install", "-y", "--no-install-recommends", *packages):
        _apt_get("update")
        _apt_get("install", "-y", "--no-install-recommends", *packages)


def _apt_get(*arguments: str) -> bool:
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(["apt-get", "-q", *arguments], env=environment, check=False).returncode == 0
