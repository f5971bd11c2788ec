"""Our indices of Debian packages beside those of apt-ftparchive and of Debian itself."""

from __future__ import annotations

import hashlib
import subprocess
from collections.abc import Sequence
from pathlib import Path
from random import Random

from attrs import define, field

from pkgd.errors import InvalidPackage
from pkgd.formats.aptcontents import contents_lines
from pkgd.formats.aptindex import (
    IndexEntry,
    ReleaseFields,
    packages_stanza,
    release_file,
    sources_stanza,
    translation_stanza,
)
from pkgd.formats.deb import BinaryPackage, file_name, pool_prefix, read_deb, walk_deb_paths
from pkgd.formats.dsc import read_dsc
from pkgd.formats.filehashes import FileHashes
from tests.formats.debs import COMPRESSORS, data_tar, deb, reader
from tests.oracles.deb_corpus import Fields, control_text, dsc_text, index, stanzas, translations
from tests.oracles.sources import NotAvailable, fetch_sources
from tests.oracles.tally import Tally

__all__ = ["Indices"]

_EXPANDED = 1 << 30
_HASHES = ("MD5sum", "SHA1", "SHA256", "SHA512")
_CONTROL_COMPRESSIONS = ("", "gz", "xz", "zst")
_DPKG_COMPRESSIONS = ("none", "gzip", "xz", "zstd")
_SOURCES = ("rpm", "dnf", "libdnf", "librepo")
# dak's own: overrides, and tags that no package has itself.
_OVERRIDDEN = ("Section", "Priority", "Tag")


@define
class Indices:
    """One run: where its packages are, and what it found."""

    tally: Tally
    place: Path
    descriptions: dict[str, str] = field(factory=translations)
    # Packages of Debian's index by name.
    listed: dict[str, Fields] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.listed = {fields["Package"].strip(): fields for fields in index("Packages")}

    # -- Packages ------------------------------------------------------------------------------

    def compare_packages(self, real: Sequence[Path], count: int) -> None:
        """Real packages and made ones: stanzas as apt-ftparchive has them, fields as dpkg-deb has them."""
        debs = self.place / "debs"
        debs.mkdir()
        for path in real:
            (debs / path.name).symlink_to(path)
        self._make_packages(debs, count)
        whole, translated = (
            self._ftparchive("packages", "debs"),
            self._ftparchive("packages", "debs", "APT::FTPArchive::LongDescription=false"),
        )
        stanzas_of = [{_filename(text): text for text in output.split("\n\n")} for output in (whole, translated)]
        for path in sorted(debs.iterdir()):
            name, data = f"debs/{path.name}", path.read_bytes()
            kind = "real packages" if path.is_symlink() else "made packages"
            try:
                package = read_deb(reader(data), len(data))
            except InvalidPackage as error:
                self.tally.add(kind, f"{path.name}: {error}")
                continue
            for theirs, is_translated in zip(stanzas_of, (False, True), strict=True):
                ours = packages_stanza(package, name, _hashes(data), is_translated=is_translated).decode()
                self.tally.add(f"{kind} by apt-ftparchive", _difference(path.name, ours, theirs.get(name, "") + "\n\n"))
            if path.is_symlink() or path.name.startswith("dpkg"):
                self._compare_fields(path, package)

    def _make_packages(self, debs: Path, count: int) -> None:
        chosen = Random(1).sample(sorted(self.listed), min(count, len(self.listed)))
        for number, name in enumerate(chosen):
            text = control_text(self.listed[name], self.descriptions)
            control, data = _CONTROL_COMPRESSIONS[number % 4], list(COMPRESSORS)[number % len(COMPRESSORS)]
            paths = data_tar(b"./", b"./usr/", f"./usr/share/{number % 7}/{name}".encode(), b"./usr/b \xc3\xa4")
            made = deb(text, compression=control, data=paths, data_compression=data)
            (debs / f"made-{number}.deb").write_bytes(made)
        for number, name in enumerate(chosen[::10]):
            self._build(debs / f"dpkg-{number}.deb", self.listed[name], number)

    def _build(self, path: Path, fields: Fields, number: int) -> None:
        tree = self.place / "tree"
        (tree / "DEBIAN").mkdir(parents=True, exist_ok=True)
        (tree / "usr" / "share" / ("long" * 30)).mkdir(parents=True, exist_ok=True)
        (tree / "usr" / "share" / ("long" * 30) / "file").write_text("x" * number)
        (tree / "DEBIAN" / "control").write_bytes(control_text(fields, self.descriptions))
        command = ["dpkg-deb", "--root-owner-group", f"-Z{_DPKG_COMPRESSIONS[number % 4]}", "-b", str(tree), str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            self.tally.add("dpkg-deb", done.stderr)

    def _compare_fields(self, path: Path, package: BinaryPackage) -> None:
        done = subprocess.run(["dpkg-deb", "-f", str(path)], capture_output=True, text=True, check=True)
        theirs = {name: value.strip() for name, value in next(stanzas(done.stdout)).items()}
        ours = {name: package.control.get(name) for name in package.control.names}
        self.tally.add("fields by dpkg-deb", None if ours == theirs else f"{path.name}: {ours} {theirs}")

    # -- Debian's own index --------------------------------------------------------------------

    def compare_archive(self, real: Sequence[Path], share: float) -> None:
        """Debian's index, and what we make of the packages that it was made of."""
        count = round(len(self.listed) * share)
        for name in Random(6).sample(sorted(self.listed), count):
            data = deb(control_text(self.listed[name], self.descriptions))
            self.tally.add("Debian's index", self._compare_listed(data, ("Size", *_HASHES)))
        for path in real:
            self.tally.add("Debian's index, real packages", self._compare_listed(path.read_bytes(), _OVERRIDDEN))

    def _compare_listed(self, data: bytes, left_out: Sequence[str]) -> str | None:
        try:
            package = read_deb(reader(data), len(data))
        except InvalidPackage as error:
            return f"{data[:400]!r}: {error}"
        pool = f"pool/main/{pool_prefix(package.source)}/{package.source}/{file_name(package)}"
        ours = next(stanzas(packages_stanza(package, pool, _hashes(data), is_translated=True).decode()))
        theirs = dict(self.listed[package.name])
        description = self.descriptions.get(theirs["Description-md5"].strip())
        if description is None:
            left_out = (*left_out, "Description-md5")
        elif not translation_stanza(package).decode().endswith(f"Description-en:{description}\n\n"):
            return f"{package.name}: another text in Translation-en"
        for name in (*left_out, *(set(_HASHES) - theirs.keys())):
            ours.pop(name, None), theirs.pop(name, None)
        wrong = sorted(name for name in ours | theirs if ours.get(name) != theirs.get(name))
        shown = [(name, ours.get(name), theirs.get(name)) for name in wrong[:2]]
        return f"{package.name}: ours and Debian's: {shown}" if wrong else None

    # -- Contents ------------------------------------------------------------------------------

    def compare_contents(self) -> None:
        """Who has which paths, of all packages together."""
        theirs = sorted(self._ftparchive("contents", "debs", encoding="latin-1").splitlines())
        files: list[tuple[bytes, str]] = []
        for path in sorted((self.place / "debs").iterdir()):
            data = path.read_bytes()
            name = read_deb(reader(data), len(data)).name
            files += [(one, name) for one in walk_deb_paths(reader(data), len(data), _EXPANDED) if one]
        ours = sorted(line.decode("latin-1").removesuffix("\n") for line in contents_lines(files))
        for one, other in zip(map(_as_sets, ours), map(_as_sets, theirs), strict=False):
            self.tally.add("contents", None if one == other else f"{one!r}, apt-ftparchive has {other!r}")
        self.tally.add("contents", None if len(ours) == len(theirs) else f"{len(ours)} lines, {len(theirs)} there")

    # -- Sources -------------------------------------------------------------------------------

    def compare_sources(self, share: float) -> None:
        """Debian's index of sources, and what apt-ftparchive makes of the same .dsc files, and of signed ones."""
        dscs = self.place / "dscs"
        dscs.mkdir()
        listed = list(index("Sources"))
        for number, fields in enumerate(Random(7).sample(listed, round(len(listed) * share))):
            name, text = dsc_text(fields)
            self.tally.add("Debian's index of sources", _compare_source(fields, name, text))
            if number < 2000 * share:
                (dscs / name).write_bytes(text)
        few = [f"APT::FTPArchive::Sources::{name}=false" for name in ("SHA1", "SHA512")]
        self._compare_dscs(dscs, self._ftparchive("sources", "dscs", *few), is_signed=False)
        signed = self.place / "signed"
        signed.symlink_to(fetch_sources(*_SOURCES)[0].parent)
        self._compare_dscs(signed, self._ftparchive("sources", "signed"), is_signed=True)

    def _compare_dscs(self, place: Path, output: str, *, is_signed: bool) -> None:
        theirs = {_dsc_name(text): text for text in output.split("\n\n") if text}
        for path in sorted(place.glob("*.dsc")):
            source = read_dsc(path.read_bytes())
            others = {one.name: _hashes((place / one.name).read_bytes()) for one in source.files} if is_signed else None
            ours = sources_stanza(source, place.name, path.name, _hashes(path.read_bytes()), others).decode()
            kind = f"{'signed ' if is_signed else ''}sources by apt-ftparchive"
            self.tally.add(kind, _difference(path.name, ours, theirs.get(path.name, "") + "\n\n"))

    # -- Release -------------------------------------------------------------------------------

    def compare_release(self) -> None:
        """The blocks of hashes, line by line, and the fields but for their order and the date."""
        place = self.place / "dist"
        for name in (
            "main/binary-amd64/Packages",
            "main/binary-amd64/Packages.xz",
            "main/source/Sources.gz",
            "Contents-a",
        ):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            (place / name).write_text(name * 1000)
        files = [path for path in place.rglob("*") if path.is_file()]
        entries = [IndexEntry(str(path.relative_to(place)), _hashes(path.read_bytes())) for path in files]
        said = {"Origin": "O", "Label": "L", "Suite": "s", "Codename": "c", "Version": "1", "Description": "d e"}
        lists = {"Architectures": "amd64 all", "Components": "main contrib"}
        fields = ReleaseFields(
            date=0,
            architectures=lists["Architectures"].split(),
            components=lists["Components"].split(),
            **{name.lower(): value for name, value in said.items()},
        )
        settings = [f"APT::FTPArchive::Release::{name}={value}" for name, value in (said | lists).items()]
        output = self._ftparchive("release", "dist", *settings, "APT::FTPArchive::Release::Acquire-By-Hash=true")
        ours, theirs = release_file(fields, entries).decode().splitlines(), output.splitlines()
        blocks = [lines[lines.index("MD5Sum:") :] for lines in (ours, theirs)]
        heads = [sorted(x for x in lines[: lines.index("MD5Sum:")] if x[:5] != "Date:") for lines in (ours, theirs)]
        self.tally.add("release", None if blocks[0] == blocks[1] else f"{blocks}")
        self.tally.add("release", None if heads[0] == heads[1] else f"{heads}")

    def _ftparchive(self, command: str, where: str, *settings: str, encoding: str = "utf-8") -> str:
        options = [part for setting in settings for part in ("-o", setting)]
        done = subprocess.run(["apt-ftparchive", *options, command, where], cwd=self.place, capture_output=True)
        if done.returncode:
            raise NotAvailable(f"apt-ftparchive {command}: {done.stderr.decode()[-500:]}")
        return done.stdout.decode(encoding)


def _compare_source(fields: Fields, name: str, text: bytes) -> str | None:
    try:
        source = read_dsc(text)
    except InvalidPackage as error:
        return f"{name}: {error}"
    rows = {kind: [line.split() for line in fields[kind].split("\n")[1:]] for kind in ("Files", "Checksums-Sha256")}
    md5, size = next(row[:2] for row in rows["Files"] if row[2] == name)
    sha256 = next(row[0] for row in rows["Checksums-Sha256"] if row[2] == name)
    hashes = FileHashes(int(size), md5, "", sha256, "")
    directory = f"pool/main/{pool_prefix(source.name)}/{source.name}"
    ours = next(stanzas(sources_stanza(source, directory, name, hashes).decode()))
    wrong = [
        (one, ours.get(one), fields.get(one))
        for one in sorted((ours | fields).keys() - {"Priority"})
        if sorted(ours.get(one, "").split("\n")) != sorted(fields.get(one, "").split("\n"))
    ]
    return f"{name}: ours and Debian's: {wrong[:2]}" if wrong else None


def _hashes(data: bytes) -> FileHashes:
    md5, sha1, sha256, sha512 = (hashlib.new(name, data).hexdigest() for name in ("md5", "sha1", "sha256", "sha512"))
    return FileHashes(len(data), md5, sha1, sha256, sha512)


def _filename(stanza: str) -> str:
    return stanza.partition("\nFilename: ")[2].partition("\n")[0]


def _dsc_name(stanza: str) -> str:
    return stanza.partition("\nFiles:\n")[2].partition("\n")[0].split()[-1]


def _as_sets(line: str) -> tuple[str, frozenset[str]]:
    """A line of Contents: the order of packages in it is nobody's concern."""
    path, _, locations = line.rpartition(" ")
    return path, frozenset(locations.split(","))


def _difference(name: str, ours: str, theirs: str) -> str | None:
    if ours == theirs:
        return None
    for one, other in zip(ours.split("\n"), theirs.split("\n"), strict=False):
        if one != other:
            return f"{name}: {one!r}, there {other!r}"
    return f"{name}: {len(ours)} and {len(theirs)} characters"
