"""Repositories that only users may read and write: how each client sends its name and password."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

from tests.live.tools import CommandFailed, run
from tests.repositories.aptclient import Apt, Complained
from tests.repositories.bench import Bench, Case
from tests.repositories.rpmclients import Dnf
from tests.repositories.server import PASSWORD, USER
from tests.repositories.web import Wrong, must, must_have


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("nobody without a name reads or uploads", group.strangers)
    yield Case("a wrong password is refused", group.wrong)
    yield Case("curl -u uploads", group.upload)
    yield Case("apt installs, the password in auth.conf.d", group.apt)
    yield Case("apt without it is refused", group.apt_stranger)
    yield Case("dnf installs, username and password in the .repo", group.dnf)
    yield Case("zypper installs, the password in the URL", group.zypper)
    yield Case("dput uploads, the name in its configuration, the password asked for", group.dput)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web
        self._host = bench.web.url.removeprefix("http://")

    def _get(self, path: str, password: str = PASSWORD) -> bytes:
        credentials = base64.b64encode(f"{USER}:{password}".encode()).decode()
        return self._web.call("GET", path, headers={"Authorization": f"Basic {credentials}"}).must_be(200).body

    def strangers(self) -> None:
        for path in ("/apt/main/stable.sources", "/apt/main/dists/stable/InRelease", "/rpm/main/repodata/repomd.xml"):
            self._web.call("GET", path).must_be(401)
        answer = self._web.call("PUT", "/apt/main/stable/main/x_1_all.deb", b"x").must_be(401)
        must_have(answer.headers.get("www-authenticate", ""), "Basic realm=")

    def wrong(self) -> None:
        try:
            self._get("/rpm/main/repodata/repomd.xml", "wrong")
        except Wrong as error:
            must_have(str(error), "401 instead")
        else:
            raise Wrong("it was let in")

    def upload(self) -> None:
        files: list[tuple[str, Path]] = [("/apt/main/stable/main/", self._bench.workshop.deb("private"))]
        files += [("/rpm/main/", one) for one in self._bench.workshop.toolbox("1.0").values()]
        for path, file in files:
            run("curl", "-fsS", "-u", f"{USER}:{PASSWORD}", "-T", str(file), f"{self._web.url}{path}")

    def _apt(self, *settings: str) -> Apt:
        apt = Apt(self._bench.folder("apt"), settings)
        apt.add_source(self._get("/apt/main/stable.sources"))
        return apt

    def apt(self) -> None:
        # Over plain HTTP apt only sends a password where the entry says so.
        file = self._bench.folder("netrc") / "auth.conf"
        file.write_text(f"machine {self._web.url} login {USER} password {PASSWORD}\n")
        apt = self._apt(f'Dir::Etc::netrc "{file}";', 'Acquire::By-Hash "force";')
        apt.update()
        apt("apt-get", "install", "private")
        must(apt.installed() == {"private": "1.0"}, f"it is installed: {apt.installed()}")

    def apt_stranger(self) -> None:
        try:
            self._apt().update()
        except (Complained, CommandFailed) as error:
            must_have(str(error), "401")
        else:
            raise Wrong("it was let in")

    def dnf(self) -> None:
        repository = self._get("/rpm/main/pkgd.repo") + f"username={USER}\npassword={PASSWORD}\n".encode()
        dnf = Dnf(self._bench.folder("dnf"), repository)
        dnf("install", "toolbox")
        must("toolbox-1.0" in dnf.installed(), f"it is installed: {dnf.installed()}")

    def zypper(self) -> None:
        zypper = self._bench.zypper()
        zypper("addrepo", f"http://{USER}:{PASSWORD}@{self._host}/rpm/main/", "it")
        zypper("refresh")
        zypper("install", "toolbox-libs")
        must((zypper.folder / "usr/share/toolbox/libs").exists(), "it is installed")

    def dput(self) -> None:
        changes = self._bench.workshop.source("by-user", suite="stable")
        configuration = self._bench.folder("dput") / "dput.cf"
        configuration.write_text(
            f"[it]\nfqdn = {self._host}\nmethod = http\nlogin = {USER}\n"
            "incoming = /apt/full/incoming/stable\nallow_unsigned_uploads = 1\nallow_dcut = 0\nrun_dinstall = 0\n"
        )
        answers = configuration.with_name("answers")
        answers.write_text(f"{PASSWORD}\n")
        # It opens a terminal if there is one.
        run("setsid", "dput", "-f", "-U", "-c", str(configuration), "it", str(changes), standard_input=answers)
