"""Install what a suite needs of Debian, one suite at a time: two may run beside each other."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence

__all__ = ["install"]

_LOCK = "/tmp/pkgd-tests-apt.lock"


def install(packages: Sequence[str]) -> None:
    """Install Debian packages, without what they only recommend.

    :raises subprocess.CalledProcessError: with what was said, if they cannot be had.
    """
    # A machine that has never been updated knows no packages.
    if _apt_get("install", "-y", "-qq", "--no-install-recommends", *packages).returncode:
        _apt_get("update", "-qq")
        _apt_get("install", "-y", "-qq", "--no-install-recommends", *packages).check_returncode()


def _apt_get(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["flock", _LOCK, "apt-get", *arguments]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if done.returncode:
        print(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}", flush=True)
    return done
