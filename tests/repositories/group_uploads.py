"""Uploads in every way that people and programs have."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from tests.live.tools import must_fail, run
from tests.repositories.bench import Bench, Case
from tests.repositories.web import Web, must, must_have

_PARALLEL = 50


def _ways(web: Web, files: list[Path], rpms: list[Path]) -> Iterator[tuple[str, Callable[[], None], str, str]]:
    """What a way is called, how it is gone, and the repository and the package that then must be there."""
    url = web.url
    curl = partial(run, "curl", "-fsS")
    deb, rpm = iter(files), iter(rpms)

    def apt_row(name: str, *words: str, repository: str = "apt:full") -> tuple[str, Callable[[], None], str, str]:
        file = next(deb)
        arguments = [word.replace("FILE", str(file)).replace("NAME", file.name) for word in words]
        return name, partial(_go, curl, arguments), repository, file.name.split("_")[0]

    def rpm_row(name: str, *words: str, repository: str = "rpm:main") -> tuple[str, Callable[[], None], str, str]:
        file = next(rpm)
        arguments = [word.replace("FILE", str(file)).replace("NAME", file.name) for word in words]
        return name, partial(_go, curl, arguments), repository, file.name.rsplit("-", 2)[0]

    yield apt_row("curl -T, a deb", "-T", "FILE", f"{url}/apt/full/stable/main/")
    yield apt_row(
        "curl -T with Transfer-Encoding: chunked",
        "-H",
        "Transfer-Encoding: chunked",
        "-T",
        "FILE",
        f"{url}/apt/full/stable/main/",
    )
    yield apt_row("Gitea's PUT, a deb", "-T", "FILE", f"{url}/api/packages/full/debian/pool/stable/contrib/upload")
    yield apt_row(
        "Nexus's POST, a deb",
        "-H",
        "Content-Type: multipart/form-data",
        "--data-binary",
        "@FILE",
        f"{url}/repository/full/",
    )
    yield apt_row(
        "Artifactory's PUT, a deb into two suites", "-T", "FILE",
        f"{url}/artifactory/full/pool/NAME;deb.distribution=stable;deb.distribution=testing;deb.component=main;deb.architecture=amd64",
    )  # fmt: skip
    yield rpm_row("curl -T, an rpm", "-T", "FILE", f"{url}/rpm/main/")
    yield rpm_row(
        "curl -T, an rpm into a repository of two parts",
        "-T",
        "FILE",
        f"{url}/rpm/team/el9/",
        repository="rpm:team/el9",
    )
    yield rpm_row(
        "Gitea's PUT, an rpm", "-T", "FILE", f"{url}/api/packages/team/rpm/el9/upload", repository="rpm:team/el9"
    )
    yield rpm_row("Nexus's PUT, an rpm", "-T", "FILE", f"{url}/repository/main/some/where/NAME")
    yield rpm_row(
        "Artifactory's PUT, an rpm", "-T", "FILE", f"{url}/artifactory/team/el9/x/NAME", repository="rpm:team/el9"
    )


def _go(curl: Callable[..., str], arguments: list[str]) -> None:
    curl(*arguments)


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    for name, go, repository, package in _ways(bench.web, bench.workshop.debs("way", 8), bench.workshop.rpms("way", 8)):
        yield Case(name, partial(group.way, go, repository, package))
    yield Case("pkgd upload: debs", group.command_debs)
    yield Case("pkgd upload: rpms, one of them none", group.command_rpms)
    yield Case("the same deb again is 200, another with its version 409, and the first stays", group.conflict)
    yield Case("the same rpm again is 200, another with its version 409", group.conflict_rpm)
    yield Case("Gitea's DELETE", group.gitea_delete)
    yield Case("an epoch and a tilde in a version", group.epoch)
    yield Case(f"{_PARALLEL} uploads at once into one suite", group.parallel)
    yield Case(f"{_PARALLEL} uploads at once into one rpm repository", group.parallel_rpms)
    yield Case(f"{_PARALLEL} uploads of one file at once: one is new", group.same_at_once)
    yield Case("a repository, a suite and a component that are not configured are 404", group.unknown)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web

    def way(self, go: Callable[[], None], repository: str, package: str) -> None:
        go()
        self._must_be_listed(repository, package)
        if repository.startswith("apt:"):
            apt = self._bench.apt("full")
            apt.update()
            apt("apt-get", "download", package)

    def _must_be_listed(self, repository: str, package: str) -> None:
        found = self._web.json(f"/api/v1/packages?repository={repository}&name={package}")["packages"]
        must(found, f"{package} is in {repository}")

    def _command(self, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "pkgd", "upload", *arguments, "--url", self._web.url)

    def command_debs(self) -> None:
        files = [str(one) for one in self._bench.workshop.debs("command", 3)]
        said = run(*self._command("--repo", "apt:full", "--suite", "stable", *files))
        must(said.count("ok command") == 3, said)
        self._must_be_listed("apt:full", "command2")

    def command_rpms(self) -> None:
        files = [str(one) for one in self._bench.workshop.rpms("command", 2)]
        run(*self._command("--repo", "rpm:main", *files))
        self._must_be_listed("rpm:main", "command1")
        wrong = self._bench.folder("wrong") / "wrong-1-1.noarch.rpm"
        wrong.write_bytes(b"no rpm")
        must_fail("1 of 3 files are not in", *self._command("--repo", "rpm:main", *files, str(wrong)))

    def conflict(self) -> None:
        one, other = self._bench.workshop.deb("clash"), self._bench.workshop.deb("clash", text="other")
        path = f"/apt/full/stable/main/{one.name}"
        self._web.put(path, one).must_be(201)
        self._web.put(path, one).must_be(200)
        answer = self._web.put(path, other).must_be(409)
        must_have(answer.text, "clash")
        apt = self._bench.apt("full")
        apt.update()
        apt("apt-get", "download", "clash")
        must((apt.downloads / one.name).read_bytes() == one.read_bytes(), "the first is there")

    def conflict_rpm(self) -> None:
        (one,) = self._bench.workshop.rpms("clash", 1)
        (other,) = self._bench.workshop.rpms("clash", 1, "other")
        self._web.put(f"/rpm/main/{one.name}", one).must_be(201)
        self._web.put(f"/rpm/main/{one.name}", one).must_be(200)
        must_have(self._web.put(f"/rpm/main/{one.name}", other).must_be(409).text, "clash0")

    def gitea_delete(self) -> None:
        file = self._bench.workshop.deb("gitea-goes")
        (rpm,) = self._bench.workshop.rpms("goes", 1)
        self._web.put("/api/packages/full/debian/pool/stable/main/upload", file).must_be(201)
        self._web.put("/api/packages/main/rpm/upload", rpm).must_be(201)
        self._web.call("DELETE", "/api/packages/full/debian/pool/stable/main/gitea-goes/1.0/all").must_be(204)
        self._web.call("DELETE", "/api/packages/main/rpm/package/goes0/1.0-1/noarch").must_be(204)
        for repository, name in (("apt:full", "gitea-goes"), ("rpm:main", "goes0")):
            must(not self._web.json(f"/api/v1/packages?repository={repository}&name={name}")["packages"], "it is gone")

    def epoch(self) -> None:
        file = self._bench.workshop.deb("epoch", "2:1.0~rc1+b2")
        run("curl", "-fsS", "-T", str(file), f"{self._web.url}/apt/full/stable/main/epoch.deb")
        apt = self._bench.apt("full")
        apt.update()
        apt("apt-get", "install", "epoch=2:1.0~rc1+b2")

    def parallel(self) -> None:
        files = self._bench.workshop.debs("parallel", _PARALLEL)
        with ThreadPoolExecutor(_PARALLEL) as pool:
            answers = list(pool.map(lambda one: self._web.put(f"/apt/main/stable/main/{one.name}", one), files))
        for one in answers:
            one.must_be(201)
        apt = self._bench.apt("main")
        apt.update()
        must({f"parallel{number}" for number in range(_PARALLEL)} <= set(apt.versions()), "all are there")
        apt("apt-get", "install", *(f"parallel{number}" for number in range(_PARALLEL)))

    def parallel_rpms(self) -> None:
        files = self._bench.workshop.rpms("parallel", _PARALLEL)
        with ThreadPoolExecutor(_PARALLEL) as pool:
            answers = list(pool.map(lambda one: self._web.put(f"/rpm/main/{one.name}", one), files))
        for one in answers:
            one.must_be(201)
        found = set(self._bench.dnf("main").names("--refresh"))
        must({f"parallel{number}" for number in range(_PARALLEL)} <= found, "all are there")

    def same_at_once(self) -> None:
        file = self._bench.workshop.deb("same")
        with ThreadPoolExecutor(_PARALLEL) as pool:
            answers = list(
                pool.map(lambda _: self._web.put(f"/apt/main/stable/main/{file.name}", file), range(_PARALLEL))
            )
        statuses = sorted(one.status for one in answers)
        must(statuses == [200] * (_PARALLEL - 1) + [201], f"one is new: {statuses}")

    def unknown(self) -> None:
        file = self._bench.workshop.deb("nowhere")
        for path in ("nothing/stable/main", "full/nothing/main", "full/stable/nothing"):
            answer = self._web.put(f"/apt/{path}/{file.name}", file).must_be(404)
            must_have(answer.text, "nothing")
        self._web.call("PUT", "/rpm/nothing/x.rpm", b"x").must_be(404)
