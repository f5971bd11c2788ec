"""Sources, and uploads of several files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from tests.live.tools import must_fail, run
from tests.repositories.bench import Bench, Case
from tests.repositories.web import Answer, must


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("apt-get source of an uploaded .dsc and its files", group.source)
    yield Case("a .dsc before its files is refused, and may come again", group.too_early)
    yield Case("dput: sources and packages appear together", group.dput)
    yield Case("dput again is no error", group.dput_again)
    yield Case("dput of a set with a package that is refused: nothing of it is there", group.dput_refused)
    yield Case("a source is copied to another suite with what was built from it", group.promoted)
    yield Case("GitLab's call with dput's files", group.gitlab)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web
        self._put_before: Path | None = None

    def source(self) -> None:
        folder = self._bench.workshop.source("plain-source").parent
        for name in ("plain-source_1.0.tar.xz", "plain-source_1.0.dsc"):
            self._web.put(f"/apt/main/stable/main/{name}", folder / name).must_be(201)
        apt = self._bench.apt("main")
        apt.update()
        apt("apt-get", "source", "plain-source")
        must((apt.downloads / "plain-source-1.0/README").read_text() == "The source.\n", "it is unpacked")

    def too_early(self) -> None:
        folder = self._bench.workshop.source("early").parent
        dsc, tar = "early_1.0.dsc", "early_1.0.tar.xz"
        answer = self._web.put(f"/apt/main/stable/main/{dsc}", folder / dsc).must_be(400)
        must(tar in answer.text, f"the answer names what is missing: {answer.text}")
        self._web.put(f"/apt/main/stable/main/{tar}", folder / tar).must_be(201)
        self._web.put(f"/apt/main/stable/main/{dsc}", folder / dsc).must_be(201)

    def dput(self) -> None:
        self._put_before = changes = self._bench.workshop.source("by-dput", suite="stable")
        self._run_dput(changes)
        apt = self._bench.apt("full")
        apt.update()
        apt("apt-get", "source", "by-dput")
        apt("apt-get", "install", "by-dput")
        must(apt.installed() == {"by-dput": "1.0"}, "both are there")

    def dput_again(self) -> None:
        assert self._put_before is not None
        self._run_dput(self._put_before)

    def dput_refused(self) -> None:
        other = self._bench.workshop.deb("refused", text="another build")
        self._web.put(f"/apt/full/stable/main/{other.name}", other).must_be(201)
        changes = self._bench.workshop.source("refused", suite="stable")
        must_fail("409", *self._dput(changes))
        answer = self._put_all(changes)
        must(answer.status == 409 and "refused 1.0 all" in answer.text, f"the answer says what and why: {answer.text}")
        found = self._web.json("/api/v1/packages?repository=apt:full&suite=stable&name=refused")["packages"]
        must([one["architecture"] for one in found] == ["all"], "the source is not there")
        self._web.call("DELETE", f"/apt/full/stable/main/{other.name}").must_be(204)
        self._run_dput(changes)
        apt = self._bench.apt("full")
        apt.update()
        apt("apt-get", "source", "refused")

    def _put_all(self, changes: Path) -> Answer:
        for name in _listed(changes):
            self._web.put(f"/apt/full/incoming/stable/{name}", changes.parent / name).must_be(201)
        return self._web.put(f"/apt/full/incoming/stable/{changes.name}", changes)

    def promoted(self) -> None:
        order = {"source": "stable", "target": "testing", "source_package": "by-dput"}
        answer = self._web.call("POST", "/api/v1/apt/full/copy", json.dumps(order).encode()).must_be(200)
        must(len(json.loads(answer.body)["packages"]) == 2, f"the source and its package: {answer.text}")
        apt = self._bench.apt("full", "testing")
        apt.update()
        apt("apt-get", "source", "by-dput")
        apt("apt-get", "install", "by-dput")

    def _run_dput(self, changes: Path) -> None:
        run(*self._dput(changes))

    def _dput(self, changes: Path) -> tuple[str, ...]:
        host = self._web.url.removeprefix("http://")
        configuration = self._bench.folder("dput") / "dput.cf"
        configuration.write_text(
            f"[it]\nfqdn = {host}\nmethod = http\nincoming = /apt/full/incoming/stable\n"
            "allow_unsigned_uploads = 1\nallow_dcut = 0\nrun_dinstall = 0\n"
        )
        return "dput", "-f", "-U", "-c", str(configuration), "it", str(changes)

    def gitlab(self) -> None:
        changes = self._bench.workshop.source("by-gitlab", suite="stable")
        for name in [*_listed(changes), changes.name]:
            url = f"{self._web.url}/api/v4/projects/full/packages/debian/{name}"
            run("curl", "-fsS", "-T", str(changes.parent / name), url)
        apt = self._bench.apt("full")
        apt.update()
        apt("apt-get", "source", "by-gitlab")


def _listed(changes: Path) -> list[str]:
    """The files that a .changes lists."""
    rows = changes.read_text().partition("\nFiles:\n")[2].splitlines()
    return [line.split()[-1] for line in rows if line[:1] == " "]
