"""Contents, as apt-file reads them and apt-ftparchive makes them; and what apt asks for besides."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

from tests.live.server import LogTail
from tests.live.tools import run
from tests.repositories.aptclient import Apt
from tests.repositories.bench import Bench, Case
from tests.repositories.server import SwitchedContents
from tests.repositories.web import must, must_have

# Its file for apt.conf.d says that apt fetches Contents; here only those apts have it that ask for it.
_APT_FILE = Path("/etc/apt/apt.conf.d/50apt-file.conf")
_UDEBS = 'Acquire::IndexTargets::deb::Contents-udeb::DefaultEnabled "true";'
_LANGUAGES = ("#clear Acquire::Languages;", 'Acquire::Languages { "de"; "en"; };')
_BY_HASH = 'Acquire::By-Hash "force";'
_FTPARCHIVE = """\
Dir {{ ArchiveDir "{root}"; CacheDir "{root}"; }};
Default {{ Packages::Compress "."; Contents::Compress "."; }};
Tree "dists/s" {{
  Sections "main"; Architectures "{architectures}"; Directory "pool";
  Contents "$(DIST)/$(SECTION)/Contents-$(ARCH)";
}};
"""


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    assert isinstance(bench.server, SwitchedContents)
    group = _Group(bench, bench.server)
    yield Case("apt update asks for nothing that is not there, without Contents and Translations", group.plain)
    yield Case("switched on, Contents have the packages that were there before", group.switched_on)
    yield Case("apt-file finds what has just been uploaded, for one architecture and for all", group.uploaded)
    yield Case("apt-file doesn't find what has been deleted", group.deleted)
    yield Case("Contents of udebs", group.udebs)
    yield Case("apt fetches Contents by hash alone, and nothing that is not there", group.by_hash)
    for form in ("gz", "zst", "xz"):
        yield Case(f"Contents in {form} alone", lambda form=form: group.form(form))  # type: ignore[misc]
    yield Case("Contents are those of apt-ftparchive", group.oracle)


class _Group:
    def __init__(self, bench: Bench, server: SwitchedContents) -> None:
        self._bench = bench
        self._web = bench.web
        self._server = server
        self._debs: list[Path] = []

    def _publish(self, name: str, *paths: str, version: str = "1.0", architecture: str = "all", place: str = "") -> str:
        file = self._bench.workshop.deb(name, version, architecture=architecture, paths=paths)
        self._web.put(f"/apt/{place or 'main/stable/main'}/{file.name}", file).must_be(201)
        self._debs.append(file)
        return file.name

    def _apt(self, *settings: str, repository: str = "main") -> Apt:
        return self._bench.apt(repository, "stable", _APT_FILE.read_text(), *settings)

    def _found(self, apt: Apt, path: str) -> list[str]:
        """The packages that have a path, by apt-file; it fails where there is none."""
        said = apt("sh", "-c", f"apt-file search --fixed-string --package-only {path} || test $? = 1")
        return said.split()

    def plain(self) -> None:
        self._publish("before", "usr/share/before")
        apt = self._bench.apt("main", "stable", *_LANGUAGES)
        log = LogTail(self._server.log)
        apt.update()
        must(not [line for line in log.lines() if '" 404 ' in line], "no 404")
        must_have(apt("apt-cache", "show", "before"), "\nDescription: package of pkgd's tests\n before,")

    def switched_on(self) -> None:
        must(b"Contents" not in self._web.get("/apt/main/dists/stable/Release"), "there were none")
        self._server.switch_on()
        apt = self._apt()
        apt.update()
        must(self._found(apt, "/usr/share/before") == ["before"], "it is found")

    def uploaded(self) -> None:
        self._publish("tool", "usr/bin/tool", "usr/share/common", architecture="amd64")
        self._publish("tool-data", "usr/share/tool/data", "usr/share/common")
        apt = self._apt()
        apt.update()
        must(self._found(apt, "/usr/bin/tool") == ["tool"], "one for amd64 is found")
        must(self._found(apt, "/usr/share/tool/data") == ["tool-data"], "one for all is found")
        must(self._found(apt, "/usr/share/common") == ["tool", "tool-data"], "both are found")
        must_have(apt("apt-file", "list", "tool"), "tool: /usr/bin/tool\n")

    def deleted(self) -> None:
        old = self._publish("moving", "usr/bin/old", "usr/bin/both", architecture="amd64")
        self._publish("moving", "usr/bin/new", "usr/bin/both", version="2.0", architecture="amd64")
        self._web.call("DELETE", f"/apt/main/stable/main/{old}").must_be(204)
        self._debs = [one for one in self._debs if one.name != old]
        apt = self._apt()
        apt.update()
        found = [self._found(apt, f"/usr/bin/{one}") for one in ("old", "both", "new")]
        must(found == [[], ["moving"], ["moving"]], f"what the other version has is found: {found}")

    def udebs(self) -> None:
        file = self._bench.workshop.deb("boot", architecture="amd64", paths=["usr/lib/boot"])
        self._web.put("/apt/udebs/stable/main/boot_1.0_amd64.udeb", file).must_be(201)
        apt = self._apt(_UDEBS, repository="udebs")
        apt.update()
        must_have(apt("apt-file", "-I", "udeb", "search", "/usr/lib/boot"), "boot: /usr/lib/boot")

    def by_hash(self) -> None:
        self._publish("by-hash", "usr/bin/by-hash", architecture="amd64")
        apt = self._apt(_BY_HASH)
        log = LogTail(self._server.log)
        apt.update()
        log.wait_for("Contents by hash", r"GET /apt/main/dists/stable/main/by-hash/SHA256/[0-9a-f]{64} .* 200 ")
        must(not [line for line in log.lines() if '" 404 ' in line], "no 404")
        must(self._found(apt, "/usr/bin/by-hash") == ["by-hash"], "it is found")

    def form(self, form: str) -> None:
        for number in range(2):
            self._publish(f"in-{form}{number}", f"usr/bin/in-{form}{number}", place=f"only-{form}/stable/main")
        apt = self._apt(repository=f"only-{form}")
        apt.update()
        must(self._found(apt, f"/usr/bin/in-{form}1") == [f"in-{form}1"], "it is found")

    def oracle(self) -> None:
        self._publish("odd", "usr/share/with space", "usr/share/" + "long" * 30, "usr/share/ä", "etc/odd-conf")
        root = self._bench.folder("ftparchive")
        (root / "pool").mkdir()
        for name in ("amd64", "all"):
            (root / f"dists/s/main/binary-{name}").mkdir(parents=True)
        for file in self._debs:
            if "only-" not in file.name and "in-" not in file.name:
                shutil.copy(file, root / "pool")
        (root / "ft.conf").write_text(_FTPARCHIVE.format(root=root, architectures="amd64 all"))
        run("apt-ftparchive", "generate", str(root / "ft.conf"))
        for name in ("amd64", "all"):
            theirs = (root / f"dists/s/main/Contents-{name}").read_bytes()
            ours = self._web.get(f"/apt/main/dists/stable/main/Contents-{name}")
            must(ours.count(b"\n") > 3, "there are some")
            must(_sorted(ours) == _sorted(theirs), f"{ours.decode()}\n-- apt-ftparchive:\n{theirs.decode()}")


def _sorted(text: bytes) -> list[tuple[bytes, list[bytes]]]:
    """Lines in their order, down to their spaces; but who has a path is in no order of apt-ftparchive's."""
    rows = [re.fullmatch(rb"(.*[ \t])([^ \t]+)", line) for line in text.splitlines()]
    return [(row[1], sorted(row[2].split(b","))) for row in rows if row]
