"""Every verifier of signatures that clients use, asked about the repositories of one key."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from tests.live.tools import run
from tests.repositories.bench import Bench, Case
from tests.repositories.server import KEY_TYPES
from tests.repositories.web import must, must_have

_IN_A_YEAR = "+370d"


def cases(bench: Bench) -> Iterator[Case]:
    """The cases, for each type of key."""
    for key in KEY_TYPES:
        trial = Verifiers(bench, key)
        yield Case(f"{key}: packages are uploaded", trial.publish)
        yield Case(f"{key}: gpgv: InRelease, Release.gpg, repomd.xml.asc", trial.gpgv)
        yield Case(f"{key}: sqv: Release.gpg, repomd.xml.asc", trial.sqv)
        yield Case(f"{key}: sqv in a year", partial(trial.sqv, "faketime", "-f", _IN_A_YEAR))
        yield Case(f"{key}: gpgv in a year", partial(trial.gpgv, "faketime", "-f", _IN_A_YEAR))
        yield Case(f"{key}: rpm --import, rpm -Kv", trial.rpm)
        yield Case(f"{key}: apt installs", trial.apt)
        yield Case(f"{key}: dnf installs", trial.dnf)
        yield Case(f"{key}: zypper refreshes and installs", trial.zypper)


class Verifiers:
    """The trials of one key, whose name its repositories have."""

    def __init__(self, bench: Bench, key: str) -> None:
        self._bench = bench
        self._key = key
        self._web = bench.web
        self._folder = bench.folder(key)

    def publish(self) -> None:
        """A deb, and three rpms."""
        file = self._bench.workshop.deb("judged")
        self._web.put(f"/apt/{self._key}/stable/main/{file.name}", file).must_be(201)
        for one in self._bench.workshop.toolbox("1.0").values():
            self._web.put(f"/rpm/{self._key}/{one.name}", one).must_be(201)

    def _fetch(self, path: str) -> str:
        file = self._folder / path.strip("/").replace("/", "-")
        file.write_bytes(self._web.get(path))
        return str(file)

    def _signed(self) -> Iterator[tuple[str, str]]:
        """Each signature, and what it signs."""
        for path, ending in (
            (f"/apt/{self._key}/dists/stable/Release", ".gpg"),
            (f"/rpm/{self._key}/repodata/repomd.xml", ".asc"),
        ):
            yield self._fetch(path + ending), self._fetch(path)

    def gpgv(self, *before: str) -> None:
        """GnuPG's, which apt of bookworm and debootstrap use."""
        ring = self._folder / "ring.gpg"
        if not ring.exists():
            words = ("gpg", "--homedir", str(self._folder), "--batch", "--dearmor", "-o", str(ring))
            run(*words, self._fetch(f"/apt/{self._key}/key.asc"))
        run(*before, "gpgv", "--keyring", str(ring), self._fetch(f"/apt/{self._key}/dists/stable/InRelease"))
        for signature, file in self._signed():
            run(*before, "gpgv", "--keyring", str(ring), signature, file)

    def sqv(self, *before: str) -> None:
        """Sequoia's, which apt from trixie on uses."""
        key = self._fetch(f"/apt/{self._key}/key.asc")
        for signature, file in self._signed():
            run(*before, "sqv", "--keyring", key, signature, file)

    def rpm(self) -> None:
        """rpm's own, of the key and of a package."""
        root = self._bench.folder("rpm")
        run("rpm", "--root", str(root), "--import", self._fetch(f"/rpm/{self._key}/key.asc"))
        must(run("rpm", "--root", str(root), "-qa").startswith("gpg-pubkey-"), "the key is there")
        (listed,) = self._web.json(f"/api/v1/packages?repository=rpm:{self._key}&name=toolbox-libs")["packages"]
        said = run("rpm", "--root", str(root), "-Kv", self._fetch(f"/rpm/{self._key}/{listed['path']}"))
        must_have(said, "Header V4", "key ID")
        must(not {"NOKEY", "BAD", "NOTFOUND"} & set(said.replace(":", " ").split()), said)

    def apt(self) -> None:
        """apt, by the served file."""
        apt = self._bench.apt(self._key)
        apt.update()
        apt("apt-get", "install", "judged")

    def dnf(self) -> None:
        """dnf, by the served file."""
        dnf = self._bench.dnf(self._key)
        dnf("install", "toolbox")
        must("toolbox-1.0" in dnf.installed(), f"it is installed: {dnf.installed()}")

    def zypper(self) -> None:
        """zypper, as strict as it can be, which nothing that is not signed would pass."""
        zypper = self._bench.zypper()
        zypper("addrepo", "--gpgcheck-strict", f"{self._web.url}/rpm/{self._key}/", "it")
        zypper("refresh")
        zypper("install", "toolbox-libs")
        must((zypper.folder / "usr/share/toolbox/libs").exists(), "it is installed")
