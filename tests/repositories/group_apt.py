"""apt: what it reads, downloads and installs."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from functools import partial

from tests.live.cutter import cutting
from tests.live.server import LogTail
from tests.live.tools import run
from tests.repositories.aptclient import Apt
from tests.repositories.bench import Bench, Case
from tests.repositories.group_hostile import hand_made_deb
from tests.repositories.web import Web, must, must_have

_OTHER = ("#clear APT::Architectures;", 'APT::Architecture "s390x"; APT::Architectures { "s390x"; };')
_CUTTER_OFFSET = 50
_BY_HASH = 'Acquire::By-Hash "force";'


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("update of an empty suite", lambda: _must_update(bench, "main"))
    yield Case("download and install by the served .sources file, by hash alone", group.install)
    yield Case("a newer version is seen at once, and upgraded to", group.newer)
    yield Case("what is deleted vanishes", group.deleted)
    for form in ("gz", "zst", "xz"):
        yield Case(f"indices in {form} alone", partial(group.only, form))
        yield Case(f"indices in {form} preferred to others", partial(group.preferred, form))
    yield Case("a partial download is resumed", group.resume)
    yield Case("a download that is cut goes on where it was", group.cut)
    yield Case("a package is copied to another suite", group.copy)
    yield Case("a suite that is not automatic is not installed from", group.not_automatic)
    yield Case("two components", group.components)
    yield Case("an architecture that no package had before joins", group.architecture)
    yield Case("a field of half a megabyte, and a package without section and priority", group.odd)
    yield Case("update again fetches nothing", group.again)
    yield Case("a kept generation is a whole repository", group.generation)


def _must_update(bench: Bench, repository: str) -> None:
    bench.apt(repository).update()


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web

    def _publish(
        self, repository: str, name: str, version: str = "1.0", place: str = "stable/main", size: int = 0
    ) -> str:
        file = self._bench.workshop.deb(name, version, size=size)
        self._web.put(f"/apt/{repository}/{place}/{file.name}", file).must_be(201)
        return file.name

    def install(self) -> None:
        self._publish("main", "hello")
        apt = self._bench.apt("main", "stable", _BY_HASH)
        must_have(apt.update(), "InRelease")
        apt("apt-get", "download", "hello")
        run("dpkg", "-x", str(apt.downloads / "hello_1.0_all.deb"), str(apt.downloads / "x"))
        must((apt.downloads / "x/usr/share/doc/hello/note").read_text().startswith("hello 1.0"), "the file is in it")
        apt("apt-get", "install", "hello")
        must(apt.installed() == {"hello": "1.0"}, f"hello is installed: {apt.installed()}")

    def newer(self) -> None:
        apt = self._bench.apt("main", "stable", _BY_HASH)
        self._publish("main", "newer", "1.0~rc1")
        apt.update()
        apt("apt-get", "install", "newer")
        self._publish("main", "newer", "1.0")
        apt.update()
        apt("apt-get", "upgrade")
        must(apt.installed() == {"newer": "1.0"}, f"the newer one is installed: {apt.installed()}")

    def deleted(self) -> None:
        apt = self._bench.apt("main")
        name = self._publish("main", "passing")
        apt.update()
        must("passing" in apt.versions(), "it is there")
        self._web.call("DELETE", f"/apt/main/stable/main/{name}").must_be(204)
        apt("apt-get", "download", "passing")  # by the old index: the file is still there
        apt.update()
        must("passing" not in apt.versions(), "it has vanished")
        self._web.call("DELETE", f"/apt/main/stable/main/{name}").must_be(404)

    def only(self, form: str) -> None:
        self._publish(f"only-{form}", f"in-{form}", place="s/main")
        apt = self._bench.apt(f"only-{form}", "s")
        apt.update()
        must(apt.versions() == {f"in-{form}": "1.0"}, f"it is seen: {apt.versions()}")
        apt("apt-get", "download", f"in-{form}")
        self._publish(f"only-{form}", f"more-in-{form}", place="s/main")
        apt.update()
        must(len(apt.versions()) == 2, f"two are seen: {apt.versions()}")

    def preferred(self, form: str) -> None:
        self._publish("full", f"form-{form}")
        apt = self._bench.apt(
            "full", "stable", f'Acquire::CompressionTypes::Order {{ "{form}"; }};', 'Acquire::By-Hash "no";'
        )
        log = LogTail(self._bench.server.log)
        apt.update()
        must(f"form-{form}" in apt.versions(), "it is seen")
        log.wait_for("the form", rf"/main/binary-amd64/Packages\.{form} ")

    def resume(self) -> None:
        name = self._publish("main", "large", size=3_000_000)
        apt = self._bench.apt("main")
        apt.update()
        (listed,) = self._web.json("/api/v1/packages?repository=apt:main&name=large")["packages"]
        answer = self._web.call("GET", f"/apt/main/{listed['path']}").must_be(200)
        whole = answer.body
        partial_file = apt.archives / "partial" / name
        partial_file.write_bytes(whole[:1_000_000])
        modified = parsedate_to_datetime(answer.headers["last-modified"]).timestamp()
        must(abs(modified - time.time()) < 300, "a package's file has the date of its upload")
        os.utime(partial_file, (modified, modified))  # as apt does when it is interrupted
        log = LogTail(self._bench.server.log)
        apt("apt-get", "install", "--download-only", "large")
        must((apt.archives / name).read_bytes() == whole, "the file is whole")
        log.wait_for("a part of the file", rf'/{name} HTTP/1.1" 206 20\d+ ')

    def cut(self) -> None:
        name = self._publish("main", "cut", size=6_000_000)
        endpoint = self._bench.server.setup.endpoint
        with cutting(endpoint.port + _CUTTER_OFFSET, endpoint, after=3_000_000, cuts=1) as cutter:
            apt = Apt(self._bench.folder("apt"), ['Acquire::Retries "3";'])
            apt.add_source(Web(cutter.endpoint.host, cutter.endpoint.port).get("/apt/main/stable.sources"))
            apt.update()
            log = LogTail(self._bench.server.log)
            apt("apt-get", "install", "cut")
            log.wait_for("the rest of the file", rf'/{name} HTTP/1.1" 206 ')

    def copy(self) -> None:
        self._publish("full", "promoted", place="testing/main")
        order = {"source": "testing", "target": "stable", "name": "promoted"}
        answer = self._web.call("POST", "/api/v1/apt/full/copy", json.dumps(order).encode()).must_be(200)
        must(json.loads(answer.body)["packages"][0]["created"], "the answer says so")
        apt = self._bench.apt("full")
        apt.update()
        apt("apt-get", "install", "promoted")

    def not_automatic(self) -> None:
        self._publish("full", "careful", "2.0", place="testing/main")
        self._publish("full", "careful", "1.0", place="stable/main")
        apt = self._bench.apt("full")
        apt.add_source(self._web.get("/apt/full/testing.sources"))
        apt.update()
        apt("apt-get", "install", "careful")
        must(apt.installed() == {"careful": "1.0"}, f"the stable one: {apt.installed()}")
        apt("apt-get", "install", "-t", "testing", "careful")
        must(apt.installed() == {"careful": "2.0"}, f"the one asked for: {apt.installed()}")

    def components(self) -> None:
        self._publish("full", "free", place="stable/main")
        self._publish("full", "less-free", place="stable/contrib")
        apt = self._bench.apt("full")
        apt.update()
        must({"free", "less-free"} <= set(apt.versions()), "both are seen")
        must_have(apt("apt-cache", "policy", "less-free"), "stable/contrib")

    def architecture(self) -> None:
        file = self._bench.workshop.deb("elsewhere", architecture="s390x")
        self._web.put(f"/apt/full/stable/main/{file.name}", file).must_be(201)
        here, there = self._bench.apt("full"), self._bench.apt("full", "stable", *_OTHER)
        here.update()
        there.update()
        must("elsewhere" not in here.versions(), "it is not for amd64")
        must({"elsewhere", "free"} <= set(there.versions()), "packages for all architectures are for this one, too")

    def odd(self) -> None:
        provides = ", ".join(f"something-that-is-virtual-{number:05}" for number in range(16_000))
        plain = hand_made_deb(name="plain", version="2:1.0-1")
        for name, data in (
            ("provider", self._bench.workshop.deb("provider", fields=f"Provides: {provides}\n").read_bytes()),
            ("plain", plain),
        ):
            self._web.call("PUT", f"/apt/full/stable/main/{name}.deb", data).must_be(201)
        apt = self._bench.apt("full")
        apt.update()
        must_have(apt("apt-cache", "showpkg", "something-that-is-virtual-15999"), "provider 1.0")
        apt("apt-get", "download", "plain")

    def again(self) -> None:
        time.sleep(1.1)  # HTTP's dates have seconds: two publishes in one cannot be told apart by them
        self._publish("full", "last-one")
        apt = self._bench.apt("full")
        apt.update()
        said = apt.update()
        must("Get:" not in said and "Hit:" in said, f"a hit: {said}")

    def generation(self) -> None:
        answer = self._web.call("GET", "/apt/main/dists/stable/InRelease").must_be(200)
        answers = [self._web.call("GET", f"/apt/main/@{number}/dists/stable/InRelease") for number in range(1, 30)]
        must(answer.body in [one.body for one in answers], "the current generation has a path for good")
