"""A signing key that is replaced while clients go on: those that know the old one, and those that know both."""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.live.tools import CommandFailed, run
from tests.repositories.aptclient import Apt, Complained
from tests.repositories.bench import Bench, Case
from tests.repositories.rpmclients import Dnf, Zypper
from tests.repositories.web import Wrong, must


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("clients that know the first key install", group.before)
    yield Case("a second key is made, and both sign", group.rotate)
    yield Case("clients that know the first key alone go on", group.during)
    yield Case("clients that come now know both", group.newcomers)
    yield Case("the first key is retired", group.retire)
    yield Case("newcomers go on, whose first update knew both keys", group.after)
    yield Case("apt that knows the first key alone is refused", group.refused)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web
        self._number = 0
        self._old = ""
        self._clients: list[tuple[Apt, Dnf, Zypper]] = []

    def _publish(self) -> None:
        self._number += 1
        file = self._bench.workshop.deb(f"turned{self._number}")
        self._web.put(f"/apt/main/stable/main/{file.name}", file).must_be(201)
        (rpm,) = self._bench.workshop.rpms(f"turned{self._number}x", 1)
        self._web.put(f"/rpm/main/{rpm.name}", rpm).must_be(201)

    def _join(self) -> None:
        zypper = self._bench.zypper()
        zypper("addrepo", f"{self._web.url}/rpm/main/pkgd.repo")
        self._clients.append((self._bench.apt("main"), self._bench.dnf("main"), zypper))

    def _go_on(self, which: int) -> None:
        self._publish()
        apt, dnf, zypper = self._clients[which]
        apt.update()
        must(f"turned{self._number}" in apt.versions(), "apt sees it")
        must(f"turned{self._number}x0" in dnf.names("--refresh"), "dnf sees it")
        zypper("refresh", "--force")
        must(f"turned{self._number}x0" in zypper("search"), "zypper sees it")

    def _key(self, *arguments: str) -> str:
        command = self._bench.server.command()
        return run(*command[: command.index("serve")], "signing-key", *arguments, *command[command.index("-c") :])

    def _restart(self) -> None:
        self._bench.server.stop()
        self._bench.server.start_again()

    def before(self) -> None:
        self._join()
        self._go_on(0)

    def rotate(self) -> None:
        (self._old,) = re.findall(r"\b[0-9A-F]{40}\b", self._key("list").upper())
        self._key("rotate")
        self._restart()
        found = self._web.get("/apt/main/dists/stable/Release.gpg")
        file = self._bench.folder("rotated") / "Release.gpg"
        file.write_bytes(found)
        must(run("gpg", "--list-packets", str(file)).count(":signature packet:") == 2, "there are two signatures")

    def during(self) -> None:
        self._go_on(0)

    def newcomers(self) -> None:
        self._join()
        self._go_on(1)

    def retire(self) -> None:
        self._key("retire", self._old)
        self._restart()

    def after(self) -> None:
        self._go_on(1)

    def refused(self) -> None:
        try:
            self._clients[0][0].update()
        except (Complained, CommandFailed):
            return
        raise Wrong("it has taken what a key signed that it does not know")
