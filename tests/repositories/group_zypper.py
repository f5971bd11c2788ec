"""zypper, with a repository whose metadata is in zstd."""

from __future__ import annotations

from collections.abc import Iterator

from tests.repositories.bench import Bench, Case
from tests.repositories.web import must, must_have


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("addrepo by the served pkgd.repo, refresh with the signature checked", group.add)
    yield Case("search by name and by file", group.search)
    yield Case("download", group.download)
    yield Case("install", group.install)
    yield Case("by the repository's URL: a newer version is seen after a refresh, and upgraded to", group.by_url)
    yield Case("by the served pkgd.repo: a newer version is seen after a refresh", group.newer)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web
        self._zypper = bench.zypper()

    def _publish(self, version: str) -> None:
        for file in self._bench.workshop.toolbox(version).values():
            self._web.put(f"/rpm/team/el9/{file.name}", file).must_be(201)

    def add(self) -> None:
        self._publish("1.0")
        self._zypper("addrepo", f"{self._web.url}/rpm/team/el9/pkgd.repo")
        said = self._zypper("refresh", "--force")
        must("rror" not in said, said)

    def search(self) -> None:
        must_have(self._zypper("search", "--details", "toolbox"), "toolbox-libs", "1.0-1")
        must_have(self._zypper("search", "--provides", "--match-exact", "/usr/bin/toolbox"), "| toolbox")

    def download(self) -> None:
        self._zypper("download", "toolbox-libs")
        found = list(self._zypper.folder.rglob("toolbox-libs-1.0-1.noarch.rpm"))
        must(found, "the file is there")

    def install(self) -> None:
        self._zypper("install", "--no-recommends", "toolbox")
        must((self._zypper.folder / "usr/bin/toolbox").exists(), "it is installed")

    def by_url(self) -> None:
        zypper = self._bench.zypper()
        zypper("addrepo", "--refresh", f"{self._web.url}/rpm/team/el9/", "it")
        zypper("refresh")
        zypper("install", "toolbox-libs")
        self._publish("1.1")
        zypper("refresh")
        must_have(zypper("search", "--details", "toolbox"), "1.1-1")
        must_have(zypper("update"), "toolbox-libs")

    def newer(self) -> None:
        self._publish("1.2")
        self._zypper("refresh")
        must_have(self._zypper("search", "--details", "toolbox"), "1.2-1")
