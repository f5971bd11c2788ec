"""The bills of materials of the images in dist/: every file of every layer belongs to exactly one component.

    image.py            dist/pkgd-<version>.oci.tar -> dist/pkgd-<version>.oci.cdx.json, and the same for -onedir

The files are those of the archives. What Debian's packages hold is compared with the packages themselves, to the byte;
what is pkgd's with dist/. The components inside of the program are those of dist/pkgd.cdx.json. A file that belongs to
nothing is an error: status 1.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import KINDS, component, debian, document, found_at, package_url, write

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
PACKAGES = ROOT / "build" / "image"

_STATUS = "var/lib/dpkg/status.d/"
# The one file that is made of a package's.
_ROOTS, _ROOTS_OF = "etc/ssl/certs/ca-certificates.crt", "usr/share/ca-certificates/mozilla/"
# usr/bin/pkgd, where the program is a folder.
_LINK = ("usr/bin/pkgd", b"/opt/pkgd/pkgd")
# Made for pkgd; everything else is as it is somewhere else.
_OWN = (
    "etc/group",
    "etc/nsswitch.conf",
    "etc/passwd",
    "etc/pkgd/pkgd.yaml",
    "usr/share/doc/pkgd/LICENSE",
    "usr/share/doc/pkgd/THIRD-PARTY-LICENCES",
)


# The content of every file, and the target of every link, by name.
Files = dict[str, bytes]


class Orphan(Exception):
    """A file that belongs to no component."""


@dataclass(frozen=True)
class Image:
    """What an archive holds, and the digest of its manifest."""

    digest: str
    files: Files


def read_image(path: Path) -> Image:
    """Read an OCI archive of one image."""
    with tarfile.open(path) as archive:
        blobs = {one.name: archive.extractfile(one) for one in archive if one.isfile()}
        held = {name: file.read() for name, file in blobs.items() if file}
    digest = json.loads(held["index.json"])["manifests"][0]["digest"]
    manifest = json.loads(held[_blob(digest)])
    files: Files = {}
    for layer in manifest["layers"]:
        files |= read_files(held[_blob(layer["digest"])])
    return Image(digest, files)


def read_files(data: bytes) -> Files:
    """Every file of a tar, with its content, and every link, with where it leads."""
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for one in archive:
            name = one.name.removeprefix("./")
            if one.isfile() and (file := archive.extractfile(one)):
                found[name] = file.read()
            elif not one.isdir():
                found[name] = os.fsencode(one.linkname)
    return found


def packages(image: Image) -> dict[str, Files]:
    """What Debian's packages hold that an image says it has, from the files that it was made of."""
    found = {}
    for package in (name.removeprefix(_STATUS) for name in image.files if name.startswith(_STATUS)):
        (archive,) = PACKAGES.glob(f"{package}_*.deb")
        command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
        found[package] = read_files(subprocess.run(command, capture_output=True, check=True).stdout)  # noqa: S603
    return found


def built(place: str) -> bytes | None:
    """What stands in dist/: the content of a file, the target of a link."""
    path = DIST / place
    if path.is_symlink():
        return os.fsencode(os.readlink(path))
    return path.read_bytes() if path.is_file() else None


def bill(
    image: Image, program: dict[str, Any], held: dict[str, Files], made: Callable[[str], bytes | None]
) -> dict[str, Any]:
    """The bill of one image.

    :param program: the bill of the executable.
    :param held: what Debian's packages hold.
    :param made: what stands in dist/.
    :raises Orphan: if a file belongs to nothing, or the program's bill is of another build.
    """
    parts, inside, subject = _program(image, program)
    at = dict(inside)
    for name, content in sorted(image.files.items()):
        if place := _built_at(name):
            if content != made(place) and (name, content) != _LINK:
                raise Orphan(f"{name}, which is not as it is in {DIST.name}/,")
            if name == "usr/bin/pkgd":
                at[f"/{name}"] = subject
            elif f"/{name}" not in inside:
                raise Orphan(f"{name}, which is not in the bill of the executable,")
        elif package := _package(name, content, held):
            found = _described(image.files[f"{_STATUS}{package}"], image.files["usr/lib/os-release"])
            parts.setdefault(found["bom-ref"], found)
            at[f"/{name}"] = found["bom-ref"]
        elif name in _OWN:
            at[f"/{name}"] = subject
        else:
            raise Orphan(name)
    for place in inside:
        if place.partition("!/")[0].removeprefix("/") not in image.files:
            raise Orphan(f"{place}, which is not in the image,")
    for url, one in parts.items():
        one["evidence"] = found_at(place for place, owner in at.items() if owner == url)
    whole = package_url("oci", "pkgd", image.digest)
    return document({**component(whole, "pkgd", parts[subject]["version"]), "type": "container"}, parts.values())


def _built_at(name: str) -> str | None:
    """Where in dist/ a file of the image came from."""
    if name == "usr/bin/pkgd":
        return "pkgd"
    return f"pkgd-onedir/{name.removeprefix('opt/pkgd/')}" if name.startswith("opt/pkgd/") else None


def _package(name: str, content: bytes, held: dict[str, Files]) -> str | None:
    """The Debian package that a file is of."""
    if name.startswith(_STATUS):
        return name.removeprefix(_STATUS)
    if name == _ROOTS:
        package = "ca-certificates"
        roots = (data for file, data in sorted(held[package].items()) if file.startswith(_ROOTS_OF))
        return package if content == b"".join(roots) else None
    return next((package for package, files in held.items() if files.get(name) == content), None)


def _program(image: Image, program: dict[str, Any]) -> tuple[dict[str, dict[str, Any]], dict[str, str], str]:
    """The program's components as far as they are in this image, their places in it, and which of them is pkgd."""
    parts: dict[str, dict[str, Any]] = {}
    at: dict[str, str] = {}
    subject = program["metadata"]["component"]
    folder = "opt/pkgd/pkgd" in image.files
    for one in (subject, *program["components"]):
        for occurrence in one["evidence"]["occurrences"]:
            below, _, rest = occurrence["location"].partition("/")
            is_of_folder = below == "pkgd-onedir"
            if is_of_folder == folder:
                place = f"/opt/pkgd/{rest}" if folder else f"/usr/bin/{occurrence['location']}"
                at[place] = one["bom-ref"]
                parts[one["bom-ref"]] = dict(one)
    return parts, at, subject["bom-ref"]


def _described(control: bytes, release: bytes) -> dict[str, Any]:
    """A package by its control file; `release` is the image's os-release."""
    lines = (line.partition(": ") for line in control.decode().splitlines() if not line.startswith(" "))
    fields = {name: value for name, _, value in lines}
    said = (line.partition("=") for line in release.decode().splitlines())
    system = {name: value.strip('"') for name, _, value in said}
    source = fields.get("Source", fields["Package"]).split(" ")[0]
    return debian(fields["Package"], fields["Version"], fields["Architecture"], source, system)


def _blob(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def main() -> int:
    """Write a bill for each archive."""
    program = json.loads((DIST / "pkgd.cdx.json").read_text(encoding="utf-8"))
    version = program["metadata"]["component"]["version"]
    paths = (DIST / f"pkgd-{version}{kind}.oci.tar" for kind in KINDS)
    for path in (one for one in paths if one.is_file()):
        image = read_image(path)
        try:
            found = bill(image, program, packages(image), built)
        except Orphan as error:
            print(f"sbom: {path.name}: {error}: belongs to no component", file=sys.stderr)
            return 1
        print(write(path.with_suffix(".cdx.json"), found))
    return 0


if __name__ == "__main__":
    sys.exit(main())
