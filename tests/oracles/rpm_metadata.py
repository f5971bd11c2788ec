"""What repositories say of packages, compared with createrepo_c's library."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from pkgd.errors import InvalidPackage
from pkgd.formats.repodata import DOCUMENTS, Fragments, RepomdEntry, closing, fragments, opening, repomd
from pkgd.formats.rpm import RpmPackage, read_rpm
from tests.formats.rpms import reader
from tests.oracles.rpm_corpus import written
from tests.oracles.tally import Tally

__all__ = ["HREF", "compare_documents", "compare_metadata", "ours_of"]

HREF = "Packages/x.rpm"


def ours_of(path: Path) -> tuple[RpmPackage, Fragments]:
    data = path.read_bytes()
    package = read_rpm(reader(data), len(data))
    pkgid, uploaded = hashlib.sha256(data).hexdigest(), int(path.stat().st_mtime)
    return package, fragments(package, pkgid, HREF, len(data), uploaded)


def compare_metadata(path: Path) -> str | None:
    """How our fragments of a package differ from createrepo_c's."""
    import createrepo_c

    try:
        theirs = createrepo_c.xml_dump(createrepo_c.package_from_rpm(str(path), location_href=HREF))[:3]
    except (OSError, createrepo_c.CreaterepoCError) as error:
        theirs = error
    try:
        _, made = ours_of(path)
    except InvalidPackage as error:
        return None if isinstance(theirs, Exception) else f"{path.name}: refused ({error}), but listed by createrepo_c"
    if isinstance(theirs, Exception):
        return f"{path.name}: listed, but refused by createrepo_c ({theirs})"
    for ours, text in zip((made.primary, made.filelists, made.other), theirs, strict=True):
        if ours.decode() != text:
            return f"{path.name}: {_first_difference(ours.decode(), text)}"
    return None


def _first_difference(ours: str, theirs: str) -> str:
    for one, other in zip(ours.splitlines(), theirs.splitlines(), strict=False):
        if one != other:
            return f"{one!r}, createrepo_c has {other!r}"
    return f"{len(ours.splitlines())} lines, createrepo_c has {len(theirs.splitlines())}"


def compare_documents(tally: Tally, scratch: Path, paths: Sequence[Path]) -> None:
    """Whole documents, and the one that names them, as createrepo_c writes them and as it reads them."""
    import createrepo_c as cr

    packages, ours = {}, []
    for path in paths:
        try:
            ours.append(ours_of(path)[1])
        except InvalidPackage:
            continue
        package = cr.package_from_rpm(str(path), location_href=HREF)
        packages[package.pkgId] = package
    place = scratch / "repository" / "repodata"
    place.mkdir(parents=True)
    record, entries = cr.Repomd(), []
    record.set_revision("42 <&>")
    writers = {"primary": cr.PrimaryXmlFile, "filelists": cr.FilelistsXmlFile, "other": cr.OtherXmlFile}
    for kind in DOCUMENTS:
        writer = writers[kind](str(scratch / f"{kind}.xml"), cr.NO_COMPRESSION)
        writer.set_num_of_pkgs(len(packages))
        for package in packages.values():
            writer.add_pkg(package)
        writer.close()
        document = b"".join([opening(kind, len(ours)), *(getattr(one, kind) for one in ours), closing(kind)])
        same = document == (scratch / f"{kind}.xml").read_bytes()
        tally.add("documents", None if same else f"{kind} differs")
        entries.append(_entry(record, kind, written(place / f"{kind}.xml", document)))
    for kind in ("group", "modules", "updateinfo"):
        entries.append(_entry(record, kind, written(place / f"{kind}.xml", b"<uploaded/>")))
    document = repomd("42 <&>", entries)
    tally.add("documents", None if document.decode() == record.xml_dump() else f"repomd.xml: {document.decode()}")
    written(place / "repomd.xml", document)
    found = cr.RepositoryReader.from_path(str(scratch / "repository")).parse_packages()[0]
    for pkgid, package in packages.items():
        read = found.get(pkgid)
        same = read is not None and read.nevra() == package.nevra() and _paths(read) == _paths(package)
        tally.add("documents", None if same else f"{package.nevra()} is read as {read and read.nevra()}")


def _paths(package: object) -> list[str]:
    return [directory.rstrip("/") + "/" + name for _, directory, name, *_ in package.files]  # type: ignore[attr-defined]


def _entry(record: object, kind: str, path: Path) -> RepomdEntry:
    """Add a file to createrepo_c's repomd, and make our own entry of it."""
    import createrepo_c as cr

    theirs = cr.RepomdRecord(kind, str(path))
    theirs.fill(cr.SHA256)
    record.set_record(theirs)  # type: ignore[attr-defined]
    data = path.read_bytes()
    digest, modified = hashlib.sha256(data).hexdigest(), int(path.stat().st_mtime)
    is_open = theirs.checksum_open is not None
    return RepomdEntry(
        kind=kind,
        href=theirs.location_href,
        timestamp=modified,
        size=len(data),
        sha256=digest,
        open_size=len(data) if is_open else None,
        open_sha256=digest if is_open else None,
    )
