"""pkgd's own TLS, with a certificate by an authority that clients have to be told of."""

from __future__ import annotations

from collections.abc import Iterator

from tests.live.tools import CommandFailed, must_fail, run
from tests.repositories.aptclient import Apt, Complained
from tests.repositories.bench import Bench, Case
from tests.repositories.rpmclients import Dnf, Zypper
from tests.repositories.web import Wrong, must, must_have

_AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("curl uploads", group.upload)
    yield Case("every URL that is served speaks https", group.urls)
    yield Case("apt installs, Acquire::https::CAInfo", group.apt)
    yield Case("apt without the authority refuses", group.apt_stranger)
    yield Case("a download that is cut is resumed", group.resume)
    yield Case("dnf installs, sslcacert", group.dnf)
    yield Case("dnf without the authority refuses", group.dnf_stranger)
    yield Case("zypper installs by the served pkgd.repo", group.zypper)
    yield Case("dput, method https", group.dput)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web
        assert bench.server.setup.certificates
        self._authority = bench.server.setup.certificates.authority

    def upload(self) -> None:
        workshop = self._bench.workshop
        for path, file in (
            ("/apt/main/stable/main/", workshop.deb("secret", size=3_000_000)),
            *(("/rpm/main/", one) for one in workshop.toolbox("1.0").values()),
        ):
            run("curl", "-fsS", "--cacert", str(self._authority), "-T", str(file), f"{self._web.url}{path}")

    def urls(self) -> None:
        for path in (
            "/apt/main/stable.sources",
            "/apt/main/",
            "/rpm/main/pkgd.repo",
            "/rpm/main/",
            "/rpm/main/mirrorlist",
        ):
            text = self._web.get(path).decode()
            must_have(text, self._web.url)
            must("http://" not in text, f"{path} has no http:// in it: {text}")

    def _apt(self, *settings: str) -> Apt:
        return self._bench.apt("main", "stable", *settings)

    def apt(self) -> None:
        apt = self._apt(f'Acquire::https::CAInfo "{self._authority}";', 'Acquire::By-Hash "force";')
        apt.update()
        apt("apt-get", "install", "secret")
        must(apt.installed() == {"secret": "1.0"}, f"it is installed: {apt.installed()}")

    def apt_stranger(self) -> None:
        apt = self._apt()
        try:
            apt.update()
        except (CommandFailed, Complained) as error:
            must_have(str(error), "ertificate")
        else:
            raise Wrong("apt trusts whatever certificate")

    def resume(self) -> None:
        apt = self._apt(f'Acquire::https::CAInfo "{self._authority}";')
        apt.update()
        (listed,) = self._web.json("/api/v1/packages?repository=apt:main&name=secret")["packages"]
        whole = self._web.get(f"/apt/main/{listed['path']}")
        name = listed["path"].rpartition("/")[2]
        (apt.archives / "partial" / name).write_bytes(whole[:1_000_000])
        apt("apt-get", "install", "--download-only", "secret")
        must((apt.archives / name).read_bytes() == whole, "the file is whole")

    def _dnf(self, *lines: str) -> Dnf:
        repository = self._web.get("/rpm/main/pkgd.repo") + "".join(f"{line}\n" for line in lines).encode()
        return Dnf(self._bench.folder("dnf"), repository)

    def dnf(self) -> None:
        dnf = self._dnf(f"sslcacert={self._authority}")
        dnf("install", "toolbox")
        must("toolbox-1.0" in dnf.installed(), f"it is installed: {dnf.installed()}")

    def dnf_stranger(self) -> None:
        dnf = self._dnf()
        must_fail("SSL", *dnf.words, "makecache")

    def zypper(self) -> None:
        zypper = Zypper(self._bench.folder("zypper"), authorities=(_AUTHORITIES, self._authority))
        zypper("addrepo", f"{self._web.url}/rpm/main/pkgd.repo")
        zypper("refresh")
        zypper("install", "toolbox-libs")
        must((zypper.folder / "usr/share/toolbox/libs").exists(), "it is installed")

    def dput(self) -> None:
        changes = self._bench.workshop.source("by-https", suite="stable")
        configuration = self._bench.folder("dput") / "dput.cf"
        configuration.write_text(
            f"[it]\nfqdn = {self._web.url.removeprefix('https://')}\nmethod = https\n"
            "incoming = /apt/full/incoming/stable\nallow_unsigned_uploads = 1\nallow_dcut = 0\nrun_dinstall = 0\n"
        )
        certificates = f"SSL_CERT_FILE={self._authority}"
        run("env", certificates, "dput", "-f", "-U", "-c", str(configuration), "it", str(changes))
        found = self._web.json("/api/v1/packages?repository=apt:full&name=by-https")["packages"]
        must(len(found) == 2, f"the source and the package: {found}")
