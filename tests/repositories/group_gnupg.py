"""Repositories that a key of GnuPG's signs."""

from __future__ import annotations

from collections.abc import Iterator

from tests.repositories.bench import Bench, Case
from tests.repositories.web import must


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("apt installs", group.apt)
    yield Case("dnf installs", group.dnf)
    yield Case("sign_packages: require: its signature is one of ours", group.require)
    yield Case("pkgd keeps no secret key of its own for it", group.no_key)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web

    def apt(self) -> None:
        file = self._bench.workshop.deb("by-gnupg")
        self._web.put(f"/apt/main/stable/main/{file.name}", file).must_be(201)
        apt = self._bench.apt("main")
        apt.update()
        apt("apt-get", "install", "by-gnupg")
        must(apt.installed() == {"by-gnupg": "1.0"}, "it is installed")

    def dnf(self) -> None:
        for file in self._bench.workshop.toolbox("1.0").values():
            self._web.put(f"/rpm/main/{file.name}", file).must_be(201)
        dnf = self._bench.dnf("main")
        dnf("install", "toolbox")
        must("toolbox-1.0" in dnf.installed(), f"it is installed: {dnf.installed()}")

    def require(self) -> None:
        libs = self._bench.workshop.toolbox("1.0")["toolbox-libs"]
        self._web.put(f"/rpm/requiring/{libs.name}", libs).must_be(400)
        self._web.put(f"/rpm/signing/{libs.name}", libs).must_be(201)
        (listed,) = self._web.json("/api/v1/packages?repository=rpm:signing&name=toolbox-libs")["packages"]
        signed = self._web.get(f"/rpm/signing/{listed['path']}")
        self._web.call("PUT", f"/rpm/requiring/{libs.name}", signed).must_be(201)

    def no_key(self) -> None:
        found = [one.name for one in (self._bench.server.folder / "state/keys").glob("default*")]
        must(not found, f"none: {found}")
