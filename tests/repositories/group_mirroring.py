"""Programs that copy repositories or make systems of them, each with readers and verifiers of its own."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.live.tools import CommandFailed, must_fail, run
from tests.repositories.bench import Bench, Case
from tests.repositories.churn.rivals import Gnupg
from tests.repositories.rpmclients import Dnf
from tests.repositories.web import Wrong, must, must_have

# All that a system has to have here.
_SCRIPT = """\
mirror_style release
download_style apt
finddebs_style from-indices
variants -
work_out_debs() { required="$(get_debs Priority: required)"; base=""; }
first_stage_install() { extract $required; }
"""
_PARTS = "Architectures: amd64 source\nComponents: main contrib\n"
_DISTRIBUTION = f"Codename: stable\n{_PARTS}Update: it\n"
_UPDATE = f"Name: it\nMethod: {{url}}\nSuite: stable\n{_PARTS}VerifyRelease: {{key}}\n"


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    group = _Group(bench)
    yield Case("packages and a source are uploaded", group.publish)
    for provider in ("gpg", "internal"):
        yield Case(f"aptly mirrors, the signature checked by {provider}", partial(group.aptly, provider))
        yield Case(f"aptly with {provider} refuses a signature by another key", partial(group.aptly_stranger, provider))
    yield Case("aptly: another update brings what is new, and drops what was deleted", group.aptly_again)
    yield Case("reprepro updates, VerifyRelease with the key", group.reprepro)
    yield Case("reprepro refuses a Release that another key should have signed", group.reprepro_stranger)
    yield Case("debootstrap downloads and unpacks a system", group.debootstrap)
    yield Case("debootstrap refuses a repository of another key", group.debootstrap_stranger)
    yield Case("mmdebstrap unpacks packages by the served .sources file", partial(group.mmdebstrap, "extract", "root"))
    yield Case("mmdebstrap installs them", partial(group.mmdebstrap, "custom", "chrootless"))
    yield Case("dnf reposync copies an rpm repository, and installs from the copy", group.reposync)


class _Group:
    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._web = bench.web
        self._url = f"{bench.web.url}/apt/full"
        self._folder = bench.folder("mirroring")
        self._ring = self._folder / "ring.gpg"
        self._files: dict[str, Path] = {}
        self._stranger = Gnupg(self._folder / "stranger")
        self._strangers_ring = self._folder / "strangers.gpg"

    def publish(self) -> None:
        workshop = self._bench.workshop
        for name in ("base", "essential"):
            self._put(workshop.deb(name, architecture="amd64", priority="required"), "main")
        self._put(workshop.deb("extra", "2:1.0~rc1+b1"), "main")
        self._put(workshop.deb("foreign"), "contrib")
        source = workshop.source("sourced").parent
        for name in ("sourced_1.0.tar.xz", "sourced_1.0.dsc"):
            self._put(source / name, "main")
        self._dearmor(self._web.get("/apt/full/key.asc"), self._ring)
        self._dearmor(self._stranger.public, self._strangers_ring)

    def _put(self, file: Path, component: str) -> None:
        self._web.put(f"/apt/full/stable/{component}/{file.name}", file).must_be(201)
        self._files[file.name] = file

    def _dearmor(self, armored: bytes, ring: Path) -> None:
        key = ring.with_suffix(".asc")
        key.write_bytes(armored)
        run("gpg", "--homedir", str(self._stranger.home), "--batch", "--dearmor", "-o", str(ring), str(key))

    # -- aptly --

    def _aptly(self, folder: Path, *arguments: str) -> str:
        words = ("env", f"GNUPGHOME={self._stranger.home}", "aptly", f"-config={folder}/aptly.json")
        return run(*words, *arguments)

    def _mirror(self, provider: str, ring: Path) -> tuple[Path, tuple[str, ...]]:
        folder = self._bench.folder(f"aptly-{provider}")
        settings = {"rootDir": str(folder), "gpgProvider": provider, "architectures": ["amd64"]}
        (folder / "aptly.json").write_text(json.dumps(settings))
        return folder, (f"-keyring={ring}", "-with-sources", "it", f"{self._url}/", "stable")

    def aptly(self, provider: str) -> None:
        folder, words = self._mirror(provider, self._ring)
        self._aptly(folder, "mirror", "create", *words)
        self._aptly(folder, "mirror", "update", f"-keyring={self._ring}", "it")
        self._aptly(folder, "snapshot", "create", "taken", "from", "mirror", "it")
        listed = set(self._aptly(folder, "snapshot", "show", "-with-packages", "taken").split())
        wanted = {
            "base_1.0_amd64",
            "essential_1.0_amd64",
            "extra_2:1.0~rc1+b1_all",
            "foreign_1.0_all",
            "sourced_1.0_source",
        }
        must(wanted <= listed, f"all are in the snapshot: {wanted - listed}")

    def aptly_stranger(self, provider: str) -> None:
        folder, words = self._mirror(provider, self._strangers_ring)
        try:
            self._aptly(folder, "mirror", "create", *words)
        except CommandFailed as error:
            must_have(str(error), "verif")
        else:
            raise Wrong("aptly has created the mirror")

    def aptly_again(self) -> None:
        folder, words = self._mirror("gpg", self._ring)
        self._aptly(folder, "mirror", "create", *words)
        self._aptly(folder, "mirror", "update", f"-keyring={self._ring}", "it")
        self._aptly(folder, "snapshot", "create", "before", "from", "mirror", "it")
        self._put(self._bench.workshop.deb("later"), "main")
        self._web.call("DELETE", "/apt/full/stable/contrib/foreign_1.0_all.deb").must_be(204)
        self._aptly(folder, "mirror", "update", f"-keyring={self._ring}", "it")
        self._aptly(folder, "snapshot", "create", "after", "from", "mirror", "it")
        rows = self._aptly(folder, "snapshot", "diff", "before", "after").splitlines()
        must([one for one in rows if "later" in one and "+" in one], f"later has come: {rows}")
        must([one for one in rows if "foreign" in one and "-" in one], f"foreign has gone: {rows}")

    # -- reprepro --

    def _reprepro(self, key: str) -> tuple[str, ...]:
        folder = self._bench.folder("reprepro")
        (folder / "conf").mkdir()
        (folder / "conf/distributions").write_text(_DISTRIBUTION)
        (folder / "conf/updates").write_text(_UPDATE.format(url=self._url, key=key))
        return ("env", f"GNUPGHOME={self._stranger.home}", "reprepro", "-b", str(folder))

    def _imported(self, file: Path) -> str:
        """A key's number, of GnuPG's home that now has it."""
        run("gpg", "--homedir", str(self._stranger.home), "--batch", "--import", str(file))
        rows = run("gpg", "--homedir", str(self._stranger.home), "--with-colons", "--show-keys", str(file)).splitlines()
        return next(row.split(":")[9] for row in rows if row.startswith("fpr:"))

    def reprepro(self) -> None:
        words = self._reprepro(self._imported(self._ring.with_suffix(".asc"))[-16:])
        run(*words, "update")
        listed = run(*words, "list", "stable")
        must_have(listed, "stable|main|amd64: extra 2:1.0~rc1+b1", "stable|main|amd64: base 1.0", "source: sourced 1.0")
        folder = Path(words[-1])
        for name in ("base_1.0_amd64.deb", "sourced_1.0.tar.xz"):
            (copy,) = folder.glob(f"pool/**/{name}")
            must(copy.read_bytes() == self._files[name].read_bytes(), f"{name} is what was uploaded")
        run(*words, "check")

    def reprepro_stranger(self) -> None:
        key = self._imported(self._strangers_ring.with_suffix(".asc"))[-16:]
        must_fail("ignature", *self._reprepro(key), "update")

    # -- debootstrap, mmdebstrap --

    def _debootstrap(self, ring: Path) -> tuple[Path, tuple[str, ...]]:
        folder = self._bench.folder("debootstrap")
        (folder / "script").write_text(_SCRIPT)
        words = ("--arch=amd64", "--foreign", f"--keyring={ring}", "--include=extra", "stable")
        return folder, ("debootstrap", *words, str(folder / "root"), f"{self._url}/", str(folder / "script"))

    def debootstrap(self) -> None:
        folder, words = self._debootstrap(self._ring)
        said = run(*words)
        must_have(said, "Valid Release signature")
        for name in ("base", "essential"):
            must((folder / f"root/usr/share/doc/{name}/note").exists(), f"{name} is unpacked")
        must(list(folder.glob("root/var/cache/apt/archives/extra_*.deb")), "what was to be included is downloaded")

    def debootstrap_stranger(self) -> None:
        _, words = self._debootstrap(self._strangers_ring)
        must_fail("signed by unknown key", *words)

    def mmdebstrap(self, variant: str, mode: str) -> None:
        folder = self._bench.folder("mmdebstrap")
        sources = folder / "it.sources"
        sources.write_bytes(self._web.get("/apt/full/stable.sources"))
        words = (f"--variant={variant}", f"--mode={mode}", "--include=base,extra", "stable")
        run("mmdebstrap", *words, str(folder / "root"), str(sources))
        for name in ("base", "extra"):
            must((folder / f"root/usr/share/doc/{name}/note").exists(), f"{name} is there")

    # -- dnf --

    def reposync(self) -> None:
        for file in self._bench.workshop.toolbox("1.0").values():
            self._web.put(f"/rpm/main/{file.name}", file).must_be(201)
        folder, dnf = self._bench.folder("reposync"), self._bench.dnf("main")
        # Debian's package of the plugins and zypper cannot both be installed.
        run("env", "-C", str(folder), "apt-get", "download", "-q", "dnf-plugins-core")
        (package,) = folder.glob("dnf-plugins-core_*.deb")
        run("dpkg", "-x", str(package), str(folder / "plugins"))
        dnf.use_plugins(folder / "plugins/usr/lib/python3/dist-packages")
        dnf("reposync", "--download-path", str(folder / "copy"), "--download-metadata")
        (copy,) = (folder / "copy").iterdir()
        metadata = (copy / "repodata/repomd.xml").read_bytes()
        must(metadata == self._web.get("/rpm/main/repodata/repomd.xml"), "the metadata is what was published")
        repository = f"[copy]\nname=copy\nbaseurl=file://{copy}\nrepo_gpgcheck=0\ngpgcheck=0\n"
        other = Dnf(self._bench.folder("dnf"), repository.encode())
        other("install", "toolbox")
        must("toolbox-1.0" in other.installed(), f"it installs from the copy: {other.installed()}")
