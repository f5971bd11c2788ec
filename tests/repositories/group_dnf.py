"""dnf, with pkgd as it is without configuration."""

from __future__ import annotations

from collections.abc import Iterator

from tests.live.tools import run
from tests.repositories.bench import Bench, Case
from tests.repositories.web import must, must_have


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("makecache of an empty repository, its signature checked", group.empty)
    yield Case(
        "install by the served pkgd.repo what nobody has signed, with what is needed and recommended", group.install
    )
    yield Case("queries by file, by what is needed and by what is recommended", group.queries)
    yield Case("a newer version is seen at once, and upgraded to", group.newer)
    yield Case("what is deleted vanishes", group.deleted)
    yield Case("zypper installs what nobody has signed by the served pkgd.repo", group.zypper)
    yield Case("the built-in apt repository is there as well", group.apt)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web
        self._dnf = bench.dnf("main")

    def empty(self) -> None:
        must_have(self._web.get("/rpm/main/pkgd.repo").decode(), "repo_gpgcheck=1")
        self._dnf.update()
        must(self._dnf.names() == [], "nothing is there")

    def _publish(self, version: str) -> None:
        for file in self._bench.workshop.toolbox(version).values():
            self._web.put(f"/rpm/main/{file.name}", file).must_be(201)

    def apt(self) -> None:
        self._bench.apt("main").update()

    def zypper(self) -> None:
        zypper = self._bench.zypper()
        zypper("addrepo", f"{self._web.url}/rpm/main/pkgd.repo")
        zypper("refresh")
        zypper("install", "toolbox")
        must((zypper.folder / "usr/bin/toolbox").exists(), "it is installed")

    def install(self) -> None:
        self._publish("1.0")
        for file in self._bench.workshop.toolbox("1.0").values():
            must_have(run("rpm", "-qp", "--qf", "%{SIGPGP:pgpsig} %{RSAHEADER:pgpsig}", str(file)), "(none) (none)")
        self._dnf.update()
        self._dnf("install", "toolbox")
        names = [one for one in self._dnf.installed() if not one.startswith("gpg-pubkey")]
        must(names == ["toolbox-1.0", "toolbox-doc-1.0", "toolbox-libs-1.0"], f"all three: {names}")
        must(run("sh", str(self._dnf.root / "usr/bin/toolbox")) == "1.0\n", "it runs")

    def queries(self) -> None:
        must(self._dnf.names("--file", "/usr/bin/toolbox") == ["toolbox"], "by a program's path")
        must(self._dnf.names("--file", "/usr/share/toolbox/doc") == ["toolbox-doc"], "by any path")
        must(self._dnf.names("--whatrequires", "toolbox-libs") == ["toolbox"], "by requirement")
        must(self._dnf.names("--whatrecommends", "toolbox-doc") == ["toolbox"], "by recommendation")
        must_have(self._dnf("-q", "repoquery", "-l", "toolbox-libs"), "/usr/share/toolbox/libs")

    def newer(self) -> None:
        self._publish("1.1")
        self._dnf("--refresh", "upgrade")
        must("toolbox-1.1" in self._dnf.installed(), f"the newer one: {self._dnf.installed()}")

    def deleted(self) -> None:
        self._web.call("DELETE", "/rpm/main/toolbox-doc-1.1-1.noarch.rpm").must_be(204)
        self._dnf.update()
        versions = self._dnf("-q", "repoquery", "--qf", "%{name}-%{version}\n", "toolbox-doc").split()
        must(versions == ["toolbox-doc-1.0"], f"the older one alone: {versions}")
