"""pkgd behind an nginx that terminates TLS, as a Kubernetes ingress or a company's front does."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from tests.live.certificates import Certificates
from tests.live.tools import run
from tests.repositories.aptclient import Apt
from tests.repositories.bench import Bench, Case
from tests.repositories.nginx import speaking_tls
from tests.repositories.rpmclients import Dnf, Zypper
from tests.repositories.server import BehindProxy
from tests.repositories.web import Web, must, must_have

_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
_PATHS = ("/apt/full/stable.sources", "/apt/full/", "/rpm/main/pkgd.repo", "/rpm/main/", "/rpm/main/mirrorlist")
# nginx as it is by default tells the server nothing of the client's URL; a careful one tells all.
_WAYS = {
    "tells nothing": (),
    "tells all": ("Host $http_host", "X-Forwarded-Proto $scheme", "X-Forwarded-For $proxy_add_x_forwarded_for"),
}


def cases(bench: Bench) -> Iterator[Case]:
    """The cases, for each way in which nginx may be configured."""
    assert isinstance(bench.server, BehindProxy)
    server, certificates = bench.server, bench.server.certificates
    for name, headers in _WAYS.items():
        with ExitStack() as stack:
            back = server.setup.endpoint.address
            proxy = speaking_tls(bench.folder("nginx"), server.front_port, certificates, back, *headers)
            group = _Group(bench, stack.enter_context(proxy), certificates)
            yield Case(f"nginx {name}: curl uploads 20 MB", group.upload)
            yield Case(f"nginx {name}: every URL that is served is the proxy's", group.urls)
            yield Case(f"nginx {name}: apt installs by the served .sources file", group.apt)
            yield Case(f"nginx {name}: dnf installs by the served pkgd.repo", group.dnf)
            yield Case(f"nginx {name}: zypper installs by the served pkgd.repo", group.zypper)


class _Group:
    def __init__(self, bench: Bench, front: Web, certificates: Certificates) -> None:
        self._bench = bench
        self._front = front
        self._certificates = certificates

    def upload(self) -> None:
        workshop = self._bench.workshop
        for path, file in (
            ("/apt/full/stable/main/", workshop.deb("distant", size=20_000_000)),
            *(("/rpm/main/", one) for one in workshop.toolbox("1.0").values()),
        ):
            authority = str(self._certificates.authority)
            self._bench.server.web.call("DELETE", f"{path}{file.name}")
            run("curl", "-fsS", "--cacert", authority, "-T", str(file), f"{self._front.url}{path}")

    def urls(self) -> None:
        for path in _PATHS:
            text = self._front.get(path).decode()
            must_have(text, f"{self._front.url}/")
            must("http://" not in text, f"{path} leads elsewhere: {text}")

    def apt(self) -> None:
        apt = Apt(self._bench.folder("apt"), [f'Acquire::https::CAInfo "{self._certificates.authority}";'])
        apt.add_source(self._front.get("/apt/full/stable.sources"))
        apt.update()
        apt("apt-get", "install", "distant")
        must(apt.installed() == {"distant": "1.0"}, f"it is installed: {apt.installed()}")

    def dnf(self) -> None:
        repository = self._front.get("/rpm/main/pkgd.repo") + f"sslcacert={self._certificates.authority}\n".encode()
        dnf = Dnf(self._bench.folder("dnf"), repository)
        dnf("install", "toolbox")
        must("toolbox-1.0" in dnf.installed(), f"it is installed: {dnf.installed()}")

    def zypper(self) -> None:
        zypper = Zypper(self._bench.folder("zypper"), authorities=(_AUTHORITIES, self._certificates.authority))
        zypper("addrepo", f"{self._front.url}/rpm/main/pkgd.repo")
        zypper("refresh")
        zypper("install", "toolbox-libs")
        must((zypper.folder / "usr/share/toolbox/libs").exists(), "it is installed")
