"""Clients that log in at a pkgd behind an nginx that terminates TLS: what each sends, and how it is told to."""

from __future__ import annotations

import base64
from collections.abc import Iterator

from tests.live.certificates import Certificates
from tests.live.tools import CommandFailed, must_fail, run
from tests.repositories.aptclient import Apt, Complained
from tests.repositories.bench import Bench, Case
from tests.repositories.nginx import speaking_tls
from tests.repositories.rpmclients import Dnf, Zypper
from tests.repositories.server import PASSWORD, USER, BehindProxy
from tests.repositories.web import Web, Wrong, must, must_have

__all__ = ["cases"]

_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def cases(bench: Bench, *headers: str) -> Iterator[Case]:
    """The cases.

    :param headers: what nginx tells the server.
    """
    assert isinstance(bench.server, BehindProxy)
    server, certificates = bench.server, bench.server.certificates
    back = server.setup.endpoint.address
    with speaking_tls(bench.folder("nginx"), server.front_port, certificates, back, *headers) as front:
        group = _Group(bench, front, certificates)
        yield Case("nobody without a name reads", group.strangers)
        yield Case("curl -u uploads", group.upload)
        yield Case("every URL that is served is the proxy's", group.urls)
        yield Case("apt installs, the password in auth.conf.d", group.apt)
        yield Case("apt without it is refused", group.apt_stranger)
        yield Case("dnf installs, username and password in the .repo", group.dnf)
        yield Case("zypper installs, the password in credentials.d", group.zypper)


class _Group:
    def __init__(self, bench: Bench, front: Web, certificates: Certificates) -> None:
        self._bench = bench
        self._front = front
        self._authority = certificates.authority

    def _get(self, path: str) -> bytes:
        credentials = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        return self._front.call("GET", path, headers={"Authorization": f"Basic {credentials}"}).must_be(200).body

    def strangers(self) -> None:
        for path in ("/apt/main/stable.sources", "/rpm/main/repodata/repomd.xml"):
            answer = self._front.call("GET", path).must_be(401)
            must_have(answer.headers.get("www-authenticate", ""), "Basic realm=")

    def upload(self) -> None:
        workshop = self._bench.workshop
        authority, login = str(self._authority), f"{USER}:{PASSWORD}"
        for path, file in (
            ("/apt/main/stable/main/", workshop.deb("private")),
            *(("/rpm/main/", one) for one in workshop.toolbox("1.0").values()),
        ):
            run("curl", "-fsS", "--cacert", authority, "-u", login, "-T", str(file), f"{self._front.url}{path}")
            must_fail("401", "curl", "-fsS", "--cacert", authority, "-T", str(file), f"{self._front.url}{path}")

    def urls(self) -> None:
        for path in ("/apt/main/stable.sources", "/rpm/main/pkgd.repo"):
            text = self._get(path).decode()
            must_have(text, f"{self._front.url}/")
            must("http://" not in text, f"{path} leads elsewhere: {text}")

    def _apt(self, *settings: str) -> Apt:
        apt = Apt(self._bench.folder("apt"), [f'Acquire::https::CAInfo "{self._authority}";', *settings])
        apt.add_source(self._get("/apt/main/stable.sources"))
        return apt

    def apt(self) -> None:
        file = self._bench.folder("netrc") / "auth.conf"
        file.write_text(f"machine {self._front.url} login {USER} password {PASSWORD}\n")
        apt = self._apt(f'Dir::Etc::netrc "{file}";')
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
        more = f"username={USER}\npassword={PASSWORD}\nsslcacert={self._authority}\n"
        dnf = Dnf(self._bench.folder("dnf"), self._get("/rpm/main/pkgd.repo") + more.encode())
        dnf("install", "toolbox")
        must("toolbox-1.0" in dnf.installed(), f"it is installed: {dnf.installed()}")

    def zypper(self) -> None:
        zypper = Zypper(self._bench.folder("zypper"), authorities=(_AUTHORITIES, self._authority))
        credentials = zypper.folder / "etc/zypp/credentials.d/pkgd"
        credentials.parent.mkdir(parents=True, exist_ok=True)
        credentials.write_text(f"username={USER}\npassword={PASSWORD}\n")
        zypper("addrepo", f"{self._front.url}/rpm/main/?credentials=pkgd", "it")
        zypper("refresh")
        zypper("install", "toolbox-libs")
        must((zypper.folder / "usr/share/toolbox/libs").exists(), "it is installed")
