"""Run the cases of all clients, or of those named: one line each, then the counts."""

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
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

from tests.live import cell
from tests.live.bench import Bench, Case
from tests.live.certificates import Certificates, issue
from tests.live.images import Images
from tests.live.server import KINDS, Server, Setup
from tests.live.tools import install

CLIENTS = [
    *("skopeo", "podman", "buildah", "docker", "ctr", "golden", "race", "resume", "nginx"),
    *("mirror_containerd", "mirror_podman", "mirror_docker", "mirror_crane"),
    *("mirror_artifacts", "mirror_chain", "mirror_prefetch", "mirror_slow"),
    *("auth", "auth_containerd", "auth_helm", "auth_mirror"),
]


def main() -> int:
    """Run the suite and return its exit status."""
    options = _options()
    if options.inside:
        scratch = cell.furnish(options.inside)
        return Suite(scratch, KINDS[options.server]).run(
            options.clients, [options.transport] if options.transport else ["http", "tls"]
        )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a stopped suite leaves nothing behind either
    try:
        return _run_in_cell(options)
    except (FileNotFoundError, PermissionError) as error:
        print(f"{error}\n0 passed, 1 failed")
        return 1


def _run_in_cell(options: argparse.Namespace) -> int:
    if os.geteuid() != 0:
        raise PermissionError("the suite installs packages and makes namespaces: it must run as root")
    install(_programs(options.clients, options.server))
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-clients-"))
    try:
        return cell.enter(scratch, sys.argv[1:])
    finally:
        shutil.rmtree(scratch)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.live", description=__doc__)
    parser.add_argument("clients", nargs="*", metavar="client", help=", ".join(CLIENTS))
    parser.add_argument("--server", choices=list(KINDS), default="pkgd", help="what to test")
    parser.add_argument("--transport", choices=["http", "tls"], help="one of the two only")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.clients) - set(CLIENTS)
    if unknown:
        parser.error(f"no such client: {', '.join(unknown)}")
    options.clients = options.clients or CLIENTS
    return options


def _programs(clients: list[str], server: str) -> list[str]:
    wanted = {program for client in clients for program in _module(client).PROGRAMS}
    own = {"ip", "unshare", "zstd", "gzip"} | ({server} - {"pkgd"})
    return sorted(wanted | own)


class Suite:
    """Runs cases and counts them."""

    def __init__(self, scratch: Path, kind: type[Server]) -> None:
        self._scratch = scratch
        self._kind = kind
        self._images = Images(scratch / "images")
        self._passed = 0
        self._failed = 0

    def run(self, clients: list[str], transports: list[str]) -> int:
        """Run the clients' cases over each transport, print the counts and return the exit status."""
        certificates = issue(self._scratch / "certificates", ["127.0.0.1", cell.OUTER_ADDRESS])
        for transport in transports:
            self._run_over(transport, clients, certificates)
        print(f"{self._passed} passed, {self._failed} failed")
        return 1 if self._failed or not self._passed else 0

    def _run_over(self, transport: str, clients: list[str], certificates: Certificates) -> None:
        server = self._kind(_setup(transport, certificates), self._scratch / transport)
        bench = Bench(server, server.setup.endpoint, self._images, certificates, self._scratch)
        try:
            if self._try(Case(f"{transport:4} server starts", server.start), server):
                for client in clients:
                    self._try_all(f"{transport:4} {client}", _module(client).cases(bench), server)
                self._try(Case(f"{transport:4} server stops, its log without traceback", server.stop), server)
        finally:
            server.remove()

    def _try_all(self, title: str, cases: Iterator[Case], server: Server) -> None:
        try:
            for case in cases:
                self._try(Case(f"{title}: {case.name}", case.trial), case.server or server)
        except Exception as error:  # what the cases stand on, such as a client's daemon
            self._report(f"{title}: surroundings", 0, error, server)

    def _try(self, case: Case, server: Server) -> bool:
        start = time.monotonic()
        try:
            case.trial()
        except Exception as error:  # whatever it is, it is this case's failure and no other's
            self._report(case.name, time.monotonic() - start, error, server)
            return False
        self._report(case.name, time.monotonic() - start)
        return True

    def _report(self, name: str, seconds: float, error: Exception | None = None, server: Server | None = None) -> None:
        verdict = "FAIL" if error else "ok"
        print(f"{verdict:4} {name:75} {seconds:6.1f} s")
        if error is None:
            self._passed += 1
            return
        self._failed += 1
        details = (
            f"{type(error).__name__}: {error}\n-- the server's last lines:\n{server.last_lines() if server else ''}"
        )
        print(textwrap.indent(details, "     | "))


def _module(client: str) -> ModuleType:
    return importlib.import_module(f"tests.live.{client}")


def _setup(transport: str, certificates: Certificates) -> Setup:
    if transport == "http":
        return Setup("pkgd-http", "127.0.0.1", 21080)
    return Setup("pkgd-tls", cell.OUTER_ADDRESS, 21443, certificates)


if __name__ == "__main__":
    sys.exit(main())
