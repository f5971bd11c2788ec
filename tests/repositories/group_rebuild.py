"""`pkgd rebuild` after damage: apt and dnf see the same packages again."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.live.tools import must_fail, run
from tests.repositories.bench import Bench, Case
from tests.repositories.live import apt_is_whole, dnf_is_whole
from tests.repositories.web import must, must_have

_FILES = 30
_SUITE, _RPM = "apt/full/suites/stable", "rpm/main"


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("packages are published", group.publish)
    yield Case("a running pkgd is in the way", group.running)
    yield Case("nothing is damaged", partial(group.damaged, []))
    yield Case("index.sqlite is missing", partial(group.damaged, ["index.sqlite"]))
    for what in ("current", "indices", "generations/{newest}"):
        patterns = [f"{base}/{what}" for base in (_SUITE, _RPM)]
        yield Case(f"{what} of a suite, and of an rpm repository, damaged", partial(group.damaged, patterns))
    for form in ("gz", "zst"):
        yield Case(
            f"leaves of a suite damaged, in the form {form}", partial(group.damaged, [f"{_SUITE}/leaves/*.{form}"])
        )
    yield Case("all records are missing: adopted", group.adopted)
    yield Case("uploads go on", group.goes_on)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._server = bench.server
        self._state = bench.server.folder / "state"
        self._debs: list[Path] = []
        self._rpms: list[Path] = []

    def publish(self) -> None:
        self._add("first")
        self._must_be_whole()

    def _add(self, prefix: str) -> None:
        workshop = self._bench.workshop
        debs, rpms = workshop.debs(prefix, _FILES), workshop.rpms(prefix, _FILES)
        for path, files in (("/apt/full/stable/main/", debs), ("/rpm/main/", rpms)):
            for file in files:
                self._bench.web.put(path + file.name, file).must_be(201)
        self._debs += debs
        self._rpms += rpms

    def _must_be_whole(self) -> None:
        apt_is_whole(self._bench.apt("full"), self._bench.web, "full", "stable", self._debs)
        dnf_is_whole(self._bench.dnf("main"), self._bench.web, "main", self._rpms)

    def _rebuild(self, *options: str) -> str:
        return run(*self._command(*options))

    def _command(self, *options: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "pkgd", "rebuild", *self._server.command()[-2:], *options)

    def running(self) -> None:
        must_fail("stop it first", *self._command())

    def damaged(self, patterns: list[str]) -> None:
        self._server.stop()
        for pattern in patterns:
            base = pattern.partition("/generations")[0]
            if "{newest}" in pattern:
                newest = max(int(one.name) for one in (self._state / base / "generations").iterdir())
                pattern = pattern.format(newest=newest)
            found = list(self._state.glob(pattern))
            must(found, f"there is {pattern}")
            for path in found:
                if path.name in ("current", "index.sqlite"):
                    path.unlink()
                    continue
                for file in [path] if path.is_file() else list(path.iterdir()):
                    file.write_bytes(file.read_bytes()[:-3])
        said = self._rebuild()
        must_have(said, f"{len(self._debs)} packages", f"{len(self._rpms)} packages", "index.sqlite: ")
        self._server.start_again()
        self._must_be_whole()

    def adopted(self) -> None:
        self._server.stop()
        for base in (_SUITE, _RPM):
            for name in ("generations", "indices", "leaves"):
                shutil.rmtree(self._state / base / name)
        must_fail("may belong to it", *self._command())
        said = self._rebuild("--adopt", "apt:full/stable", "--adopt", "rpm:main")
        must_have(said, f"{len(self._debs)} packages, {len(self._debs)} of them adopted")
        self._server.start_again()
        self._must_be_whole()

    def goes_on(self) -> None:
        self._add("second")
        self._must_be_whole()
