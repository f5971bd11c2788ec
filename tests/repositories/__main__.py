"""Run all groups of cases, or those named: one line each, then the counts."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from pathlib import Path

from tests.live.tools import PACKAGES, install
from tests.repositories.bench import Bench, Case
from tests.repositories.server import (
    BehindProxy,
    BuiltIn,
    PackageServer,
    SpeakingTls,
    SwitchedContents,
    WithGnupg,
    WithGnupgKeys,
    WithKeyFiles,
    WithNativeKeys,
    WithUsers,
    WithUsersBehindProxy,
    WithUsersForwarded,
    free_environment,
    setup,
)

GROUPS = ["apt", "sources", "contents", "dnf", "zypper", "mirroring", "tls", "proxy", "auth", "signatures", "signing"]
GROUPS += ["requiring", "gnupg", "verifiers", "gnupgverifiers", "rotation", "uploads", "hostile", "churn", "crash"]
GROUPS += ["rebuild", "authproxy", "authforwarded"]
# Programs, and Debian's packages of them.
_PROGRAMS = {
    "apt-get": "apt",
    "apt-file": "apt-file",
    "apt-ftparchive": "apt-utils",
    "dpkg-source": "dpkg-dev",
    "dnf": "dnf",
    "zypper": "zypper",
    "rpm": "rpm",
    "rpmbuild": "rpm",
    "gpg": "gnupg",
    "gpgv": "gpgv",
    "sqv": "sqv",
    "dput": "dput",
    "curl": "curl",
    "aptly": "aptly",
    "reprepro": "reprepro",
    "debootstrap": "debootstrap",
    "mmdebstrap": "mmdebstrap",
    "faketime": "faketime",
    "nginx": "nginx-light",
    "unshare": "util-linux",
}
_SERVERS: dict[str, type[PackageServer]] = {
    "contents": SwitchedContents,
    "dnf": BuiltIn,
    "tls": SpeakingTls,
    "proxy": BehindProxy,
    "auth": WithUsers,
    "authproxy": WithUsersBehindProxy,
    "authforwarded": WithUsersForwarded,
    "gnupg": WithGnupg,
    "requiring": WithKeyFiles,
    "verifiers": WithNativeKeys,
    "gnupgverifiers": WithGnupgKeys,
}
"""The servers of groups that want another than that with many repositories."""
_PORT = 24100


def main() -> int:
    """Run the suite and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.repositories", description=__doc__)
    parser.add_argument("groups", nargs="*", metavar="group", help=", ".join(GROUPS))
    parser.add_argument("--port", type=int, default=_PORT, help="the first of some ports that are free")
    options = parser.parse_args()
    groups = list(dict.fromkeys(options.groups)) or GROUPS
    if unknown := set(groups) - set(GROUPS):
        parser.error(f"no such group: {', '.join(unknown)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a stopped suite leaves nothing behind either
    try:
        _prepare()
    except (FileNotFoundError, PermissionError) as error:
        print(f"{error}\n0 passed, 1 failed")
        return 1
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-repositories-"))
    try:
        return Suite(scratch, options.port).run(groups)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _prepare() -> None:
    if os.geteuid() != 0:
        raise PermissionError("the suite installs packages, and package managers into folders: it must run as root")
    PACKAGES.update({program: (package,) for program, package in _PROGRAMS.items()})
    install(list(_PROGRAMS))
    free_environment()


class Suite:
    """Runs cases and counts them; each group has a server of its own."""

    def __init__(self, scratch: Path, port: int) -> None:
        self._scratch = scratch
        self._port = port
        self._passed = 0
        self._failed = 0

    def run(self, groups: list[str]) -> int:
        """Run the groups' cases, print the counts and return the exit status."""
        for number, group in enumerate(groups):
            kind = _SERVERS.get(group, PackageServer)
            server = kind(setup(f"pkgd-{group}", self._port + number), self._scratch / f"pkgd-{group}")
            try:
                self._run_group(group, Bench(server, self._scratch / group))
            finally:
                server.remove()
        print(f"{self._passed} passed, {self._failed} failed")
        return 1 if self._failed or not self._passed else 0

    def _run_group(self, group: str, bench: Bench) -> None:
        if not self._try(group, Case("pkgd starts", bench.server.start), bench):
            return
        try:
            for case in importlib.import_module(f"tests.repositories.group_{group}").cases(bench):
                self._try(group, case, bench)
        except Exception as error:  # what the cases stand on, such as packages
            self._report(f"{group}: surroundings", 0, error, bench)
        self._try(group, Case("pkgd stops, its log without traceback", bench.server.stop), bench)

    def _try(self, group: str, case: Case, bench: Bench) -> bool:
        start = time.monotonic()
        failure: Exception | None = None
        try:
            case.trial()
        except Exception as error:  # whatever it is, it is this case's failure and no other's
            failure = error
        self._report(f"{group}: {case.name}", time.monotonic() - start, failure, bench)
        return failure is None

    def _report(self, name: str, seconds: float, error: Exception | None, bench: Bench) -> None:
        print(f"{'FAIL' if error else 'ok':4} {name:90} {seconds:6.1f} s", flush=True)
        if error is None:
            self._passed += 1
            return
        self._failed += 1
        details = f"{type(error).__name__}: {error}\n-- the server's last lines:\n{bench.server.last_lines()}"
        print(textwrap.indent(details, "     | "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
