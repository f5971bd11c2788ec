"""kill -9 in the middle of uploads and publishes."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.repositories.bench import Bench, Case
from tests.repositories.live import Uploads, apt_is_whole, dnf_is_whole
from tests.repositories.web import must

_ROUNDS = 5
_FILES = 60
_THREADS = 6


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    for number in range(_ROUNDS):
        yield Case(f"kill -9 under {_THREADS} uploads, round {number + 1}", partial(group.round, number))
    yield Case("what was not acknowledged is uploaded again", group.again)
    yield Case("nothing is left in the spool", group.spool)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._random = random.Random(4)
        self._debs: list[Path] = []
        self._rpms: list[Path] = []
        self._lost: list[tuple[str, Path]] = []

    def round(self, number: int) -> None:
        debs = self._bench.workshop.debs(f"crash{number}x", _FILES)
        rpms = self._bench.workshop.rpms(f"crash{number}x", _FILES)
        pairs = zip(debs, rpms, strict=True)
        work = [row for deb, rpm in pairs for row in (("/apt/full/stable/main/", deb), ("/rpm/main/", rpm))]
        uploads = Uploads(self._bench.web, work, _THREADS).start()
        time.sleep(self._random.uniform(0.1, 0.9))
        self._bench.server.kill()
        uploads.wait()
        must(not uploads.refused, f"nothing is refused: {uploads.refused[:3]}")
        self._debs += [file for path, file in uploads.acknowledged if path.startswith("/apt")]
        self._rpms += [file for path, file in uploads.acknowledged if path.startswith("/rpm")]
        self._lost = [row for row in work if row not in uploads.acknowledged]
        self._bench.server.start_again()
        self._must_be_whole()

    def again(self) -> None:
        must(self._debs and self._rpms and self._lost, "kills came before, and after, acknowledgements")
        uploads = Uploads(self._bench.web, self._lost, _THREADS).start()
        uploads.wait()
        must(not uploads.refused and len(uploads.acknowledged) == len(self._lost), f"all: {uploads.refused[:3]}")
        self._debs += [file for path, file in self._lost if path.startswith("/apt")]
        self._rpms += [file for path, file in self._lost if path.startswith("/rpm")]
        self._must_be_whole()

    def spool(self) -> None:
        folder = self._bench.server.folder / "state/spool"
        left = [one for one in folder.rglob("*") if one.is_file() and not one.name.endswith("reserve")]
        must(not left, f"nothing is left: {left[:3]}")

    def _must_be_whole(self) -> None:
        apt_is_whole(self._bench.apt("full"), self._bench.web, "full", "stable", self._debs)
        dnf_is_whole(self._bench.dnf("main"), self._bench.web, "main", self._rpms)
