"""What verifiers that pkgd has no part in say of its signatures."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from pathlib import Path

from tests.live.tools import must_fail, run
from tests.repositories.bench import Bench, Case
from tests.repositories.web import must


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("gpgv: InRelease", group.gpgv_clear)
    yield Case("gpgv: Release by Release.gpg", lambda: group.gpgv("/apt/main/dists/stable/Release", ".gpg"))
    yield Case("gpgv: repomd.xml by repomd.xml.asc", lambda: group.gpgv("/rpm/main/repodata/repomd.xml", ".asc"))
    yield Case("sqv: Release by Release.gpg", lambda: group.sqv("/apt/main/dists/stable/Release", ".gpg"))
    yield Case("sqv: repomd.xml by repomd.xml.asc", lambda: group.sqv("/rpm/main/repodata/repomd.xml", ".asc"))
    yield Case("gpgv refuses what has been changed", group.changed)
    yield Case(
        "what one connection fetches as zypper does belongs together, whatever is published between", group.together
    )
    yield Case("rpm imports the key", group.rpm_key)
    yield Case("the secret key can be read by its owner alone", group.mode)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web
        self._folder = bench.folder("signatures")
        self._key = self._fetch("/apt/main/key.asc")
        self._ring = self._folder / "ring.gpg"
        run("gpg", "--homedir", str(self._folder), "--batch", "--dearmor", "-o", str(self._ring), str(self._key))

    def _fetch(self, path: str) -> Path:
        file = self._folder / path.strip("/").replace("/", "-")
        file.write_bytes(self._web.get(path))
        return file

    def gpgv_clear(self) -> None:
        run("gpgv", "--keyring", str(self._ring), str(self._fetch("/apt/main/dists/stable/InRelease")))

    def gpgv(self, path: str, ending: str) -> None:
        signature, file = self._fetch(path + ending), self._fetch(path)
        run("gpgv", "--keyring", str(self._ring), str(signature), str(file))

    def sqv(self, path: str, ending: str) -> None:
        run("sqv", "--keyring", str(self._key), str(self._fetch(path + ending)), str(self._fetch(path)))

    def changed(self) -> None:
        file = self._fetch("/apt/main/dists/stable/InRelease")
        file.write_bytes(file.read_bytes().replace(b"Date: ", b"Date:  ", 1))
        must_fail("BAD signature", "gpgv", "--keyring", str(self._ring), str(file))

    def together(self) -> None:
        setup, files = self._bench.server.setup, iter(self._bench.workshop.rpms("between", 3))
        connection = http.client.HTTPConnection(setup.host, setup.port, timeout=30)
        found: dict[str, Path] = {}
        for ending in (".asc", ".key", ""):
            connection.request("GET", f"/rpm/main/repodata/repomd.xml{ending}")
            found[ending] = self._folder / f"together{ending}"
            found[ending].write_bytes(connection.getresponse().read())
            file = next(files)
            self._web.put(f"/rpm/main/{file.name}", file).must_be(201)
        connection.close()
        run("sqv", "--keyring", *(str(found[ending]) for ending in (".key", ".asc", "")))

    def rpm_key(self) -> None:
        root = self._bench.folder("rpm")
        run("rpm", "--root", str(root), "--import", str(self._fetch("/rpm/main/key.asc")))
        must(run("rpm", "--root", str(root), "-qa").startswith("gpg-pubkey-"), "the key is there")

    def mode(self) -> None:
        (key,) = (self._bench.server.folder / "state/keys").glob("*.asc")
        must(key.stat().st_mode & 0o077 == 0, f"{key.name} has mode {key.stat().st_mode:o}")
