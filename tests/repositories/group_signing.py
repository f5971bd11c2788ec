"""Keys and packages that are signed in other ways than by default."""

from __future__ import annotations

from collections.abc import Iterator

from tests.live.tools import run
from tests.repositories.bench import Bench, Case
from tests.repositories.web import must, must_have

_COMPS = b"""<?xml version="1.0" encoding="UTF-8"?>
<comps><group><id>tools</id><name>Tools of tests</name><description>All.</description><default>true</default>
<uservisible>true</uservisible><packagelist><packagereq type="mandatory">toolbox-libs</packagereq></packagelist></group>
</comps>
"""
_UPDATES = b"""<?xml version="1.0" encoding="UTF-8"?>
<updates><update from="t@example.org" status="final" type="security" version="1"><id>TEST-2025:1</id>
<title>A fix</title>
<issued date="2025-11-03 00:00:00"/><updated date="2025-11-03 00:00:00"/><severity>Important</severity>
<description>It is fixed.</description><pkglist><collection short="t"><name>T</name>
<package name="toolbox-libs" version="1.1" release="1" epoch="0" arch="noarch" src="toolbox-1.1-1.src.rpm">
<filename>toolbox-libs-1.1-1.noarch.rpm</filename></package></collection></pkglist></update></updates>
"""


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("sign_packages: sign: dnf installs with gpgcheck=1", group.sign)
    yield Case("sign_packages: sign: rpm -K by the served key", group.checksig)
    yield Case("sign_packages: require: what is not signed is refused, what is signed by the key taken", group.require)
    yield Case("an ed25519 key: gpgv and sqv", group.ed25519)
    yield Case("groups: comps.xml is seen by dnf", group.comps)
    yield Case("updates: updateinfo.xml is seen by dnf", group.updates)
    yield Case("metadata in zst is read by dnf", group.zst)
    yield Case("after a restart the same keys sign, and clients see nothing new", group.restart)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web

    def _publish(self, version: str, repository: str) -> None:
        for file in self._bench.workshop.toolbox(version).values():
            self._web.put(f"/rpm/{repository}/{file.name}", file).must_be(201)

    def sign(self) -> None:
        self._publish("1.0", "signing")
        must_have(self._web.get("/rpm/signing/pkgd.repo").decode(), "\ngpgcheck=1", "repo_gpgcheck=1")
        dnf = self._bench.dnf("signing")
        dnf("install", "toolbox")
        must("toolbox-1.0" in dnf.installed(), f"it is installed: {dnf.installed()}")

    def _served(self, name: str) -> bytes:
        (listed,) = self._web.json(f"/api/v1/packages?repository=rpm:signing&name={name}")["packages"]
        return self._web.get(f"/rpm/signing/{listed['path']}")

    def checksig(self) -> None:
        folder = self._bench.folder("checksig")
        (folder / "key.asc").write_bytes(self._web.get("/rpm/signing/key.asc"))
        (folder / "it.rpm").write_bytes(self._served("toolbox"))
        run("rpm", "--root", str(folder), "--import", str(folder / "key.asc"))
        said = run("rpm", "--root", str(folder), "-Kv", str(folder / "it.rpm"))
        must_have(said, "Signature, key ID")
        must("NOKEY" not in said and "BAD" not in said, said)

    def require(self) -> None:
        (file,) = self._bench.workshop.rpms("unsigned", 1)
        answer = self._web.put(f"/rpm/requiring/{file.name}", file)
        must(400 <= answer.status < 500 and "sign" in answer.text, f"{answer.status} {answer.text}")
        signed = self._served("toolbox-libs")
        self._web.call("PUT", "/rpm/requiring/toolbox-libs-1.0-1.noarch.rpm", signed).must_be(201)
        dnf = self._bench.dnf("requiring")
        dnf("install", "toolbox-libs")

    def ed25519(self) -> None:
        file = self._bench.workshop.deb("by-ed25519")
        self._web.put(f"/apt/ed25519/stable/main/{file.name}", file).must_be(201)
        apt = self._bench.apt("ed25519")
        apt.update()
        apt("apt-get", "install", "by-ed25519")
        folder = self._bench.folder("ed25519")
        for name in ("key.asc", "dists/stable/Release", "dists/stable/Release.gpg"):
            (folder / name.rpartition("/")[2]).write_bytes(self._web.get(f"/apt/ed25519/{name}"))
        run("sqv", "--keyring", *(str(folder / one) for one in ("key.asc", "Release.gpg", "Release")))
        ring = str(folder / "ring.gpg")
        run("gpg", "--homedir", str(folder), "--batch", "--dearmor", "-o", ring, str(folder / "key.asc"))
        run("gpgv", "--keyring", ring, str(folder / "Release.gpg"), str(folder / "Release"))

    def comps(self) -> None:
        self._web.call("PUT", "/rpm/signing/comps.xml", _COMPS).must_be(201)
        dnf = self._bench.dnf("signing")
        must_have(dnf("group", "list"), "Tools of tests")
        dnf("group", "install", "tools")
        must("toolbox-libs-1.0" in dnf.installed(), f"what the group has: {dnf.installed()}")

    def updates(self) -> None:
        dnf = self._bench.dnf("signing")
        dnf("install", "toolbox-libs")
        self._publish("1.1", "signing")
        self._web.call("PUT", "/rpm/signing/updateinfo.xml", _UPDATES).must_be(201)
        must_have(dnf("--refresh", "updateinfo", "list"), "TEST-2025:1", "toolbox-libs-1.1")

    def zst(self) -> None:
        self._publish("1.0", "team/el9")
        dnf = self._bench.dnf("team/el9")
        must(dnf.names("--file", "/usr/share/toolbox/doc") == ["toolbox-doc"], "it is found by a file")
        dnf("install", "toolbox")

    def restart(self) -> None:
        paths = ["/apt/ed25519/key.asc", "/rpm/signing/key.asc", "/apt/ed25519/dists/stable/InRelease"]
        paths += ["/rpm/signing/repodata/repomd.xml", "/rpm/signing/mirrorlist"]
        before = [self._web.get(path) for path in paths]
        self._bench.server.stop()
        self._bench.server.start_again()
        for path, one in zip(paths, before, strict=True):
            must(self._web.get(path) == one, f"{path} is as it was")
