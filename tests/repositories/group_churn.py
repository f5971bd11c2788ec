"""Clients that update all the time while packages are published one after the other."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.repositories.bench import Bench, Case
from tests.repositories.live import Uploads, apt_is_whole, dnf_is_whole
from tests.repositories.web import must, must_have

_PUBLISHES = 40
_PAUSE = 0.15


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case(f"{_PUBLISHES} publishes each under 2 apts, a dnf and a zypper: no mismatch", group.churn)
    yield Case("apt by paths without hashes sees no mismatch between publishes", group.without_hashes)


def _slowly(path: str, files: list[Path]) -> Iterator[tuple[str, Path]]:
    """The work of uploads, with time between them for several turns of the clients."""
    for file in files:
        time.sleep(_PAUSE)
        yield path, file


class _Loop:
    """A client that does the same again and again, until it is told to end."""

    def __init__(self, act: Callable[[], None], over: threading.Event) -> None:
        self._act = act
        self._over = over
        self.turns = 0
        self.failures: list[str] = []
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        while not self._over.is_set():
            try:
                self._act()
            except Exception as error:  # a client's complaint, whatever it is
                self.failures.append(f"{type(error).__name__}: {error}"[-1000:])
            self.turns += 1


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench

    def churn(self) -> None:
        bench = self._bench
        debs, rpms = bench.workshop.debs("churn", _PUBLISHES), bench.workshop.rpms("churn", _PUBLISHES)
        for path, first in (("/apt/full/stable/main/", debs[0]), ("/rpm/main/", rpms[0])):
            bench.web.put(f"{path}{first.name}", first).must_be(201)
        apts = [bench.apt("full"), bench.apt("full", "stable", 'Acquire::By-Hash "force";')]
        dnf, zypper = bench.dnf("main"), bench.zypper()
        zypper("addrepo", f"{bench.web.url}/rpm/main/", "it")
        over = threading.Event()

        def with_apt(number: int) -> None:
            apts[number].update()
            apts[number]("apt-get", "download", "churn0")

        def with_dnf() -> None:
            dnf.update()
            must("churn0" in dnf.names(), "churn0 is seen")

        def with_zypper() -> None:
            zypper("refresh", "--force")
            must_have(zypper("search", "churn0"), "churn0")

        clients = (lambda: with_apt(0), lambda: with_apt(1), with_dnf, with_zypper)
        loops = [_Loop(client, over) for client in clients]
        uploads = [
            Uploads(bench.web, _slowly(path, files[1:]), 1).start()
            for path, files in (("/apt/full/stable/main/", debs), ("/rpm/main/", rpms))
        ]
        for one in uploads:
            one.wait()
            must(not one.refused and len(one.acknowledged) == _PUBLISHES - 1, f"all are published: {one.refused[:2]}")
        over.set()
        for loop in loops:
            loop.thread.join()
            must(not loop.failures, f"{len(loop.failures)} of {loop.turns} turns failed: {loop.failures[:1]}")
            must(loop.turns >= 5, f"the loop has turned: {loop.turns}")
        apt_is_whole(bench.apt("full"), bench.web, "full", "stable", debs)
        dnf_is_whole(bench.dnf("main"), bench.web, "main", rpms)

    def without_hashes(self) -> None:
        apt = self._bench.apt("full", "stable", 'Acquire::By-Hash "no";')
        for file in self._bench.workshop.debs("between", 8):
            self._bench.web.put(f"/apt/full/stable/main/{file.name}", file).must_be(201)
            apt.update()
            must(file.name.split("_")[0] in apt.versions(), "it is seen at once")
