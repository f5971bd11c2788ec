"""pkgd with package repositories in the formats of its peers, and uploads to it over the loopback."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from threading import Lock

from tests.bench.api import TIMEOUT, WrongAnswer
from tests.bench.figures import Work
from tests.bench.servers import Pkgd

__all__ = ["PackagesPkgd", "PkgdArchive", "upload"]

# As many as wait for being accepted at once.
_FILLING = 48


class PackagesPkgd(Pkgd):
    """pkgd with an apt and an rpm repository for each size, both with gz alone."""

    # How many packages they will have; the names say it.
    sizes: Sequence[int] = ()

    def more_configuration(self) -> str:
        """The repositories."""
        apt = [f"{{name: n{n}, compression: [gz], suites: [{{codename: bench, {_ARCH}}}]}}" for n in self.sizes]
        rpm = [f"{{name: n{n}, compression: gz}}" for n in self.sizes]
        return f"repositories: {{apt: [{', '.join(apt)}], rpm: [{', '.join(rpm)}]}}\n"


_ARCH = "architectures: [amd64]"


class PkgdArchive:
    """One of its repositories. Implements `Archive`."""

    def __init__(self, server: Pkgd, kind: str, size: int) -> None:
        self.label = server.label
        self._server = server
        self._reading = f"/apt/n{size}/dists/bench" if kind == "deb" else f"/rpm/n{size}"
        self._writing = f"/apt/n{size}/bench/main" if kind == "deb" else f"/rpm/n{size}"
        self._first = "InRelease" if kind == "deb" else "repodata/repomd.xml"

    def fill(self, packages: Sequence[Path]) -> None:
        """See `Archive.fill`: many connections share each publish."""
        self.bulk(packages, _FILLING)

    def add(self, packages: Sequence[Path]) -> Work:
        """See `Archive.add`: the answer comes when it is published; what clients fetch first is fetched to see it."""
        before, began = self._server.cpu_seconds(), time.monotonic()
        connection = HTTPConnection("127.0.0.1", self._server.port, timeout=TIMEOUT)
        for path in packages:
            _put(connection, self._writing, path)
            _get(connection, f"{self._reading}/{self._first}")
        connection.close()
        return Work(len(packages), time.monotonic() - began, self._server.cpu_seconds() - before)

    def bulk(self, packages: Sequence[Path], connections: int) -> Work:
        """Add packages by so many connections at once."""
        before = self._server.cpu_seconds()
        seconds = upload(self._server.port, self._writing, packages, connections)
        return Work(len(packages), seconds, self._server.cpu_seconds() - before)

    def fetch(self, path: str) -> bytes:
        """See `Archive.fetch`."""
        connection = HTTPConnection("127.0.0.1", self._server.port, timeout=TIMEOUT)
        try:
            return _get(connection, f"{self._reading}/{path}")
        finally:
            connection.close()


def upload(port: int, target: str, packages: Iterable[Path], connections: int) -> float:
    """Upload files by some connections at once; returns the seconds that it took."""
    waiting, lock = iter(packages), Lock()

    def take() -> Iterator[Path]:
        while True:
            with lock:
                path = next(waiting, None)
            if path is None:
                return
            yield path

    def run() -> None:
        connection = HTTPConnection("127.0.0.1", port, timeout=TIMEOUT)
        for path in take():
            _put(connection, target, path)
        connection.close()

    began = time.monotonic()
    with ThreadPoolExecutor(connections) as pool:
        for one in [pool.submit(run) for _ in range(connections)]:
            one.result()
    return time.monotonic() - began


def _put(connection: HTTPConnection, target: str, path: Path) -> None:
    connection.request("PUT", f"{target}/{path.name}", path.read_bytes())
    answer = connection.getresponse()
    text = answer.read()
    if answer.status != 201:
        raise WrongAnswer(f"PUT {target}/{path.name}: {answer.status} {text[:500]!r}")


def _get(connection: HTTPConnection, target: str) -> bytes:
    connection.request("GET", target)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        raise WrongAnswer(f"GET {target}: {answer.status} {body[:500]!r}")
    return body
