"""The bill of materials of the executable: dist/pkgd.cdx.json, CycloneDX 1.6, of exactly what is inside.

    build/venv/bin/python packaging/sbom/sbom.py

What is inside is read from dist/pkgd and dist/pkgd-onedir/ themselves, not from a list of requirements. Where each
entry came from is in PyInstaller's table of contents; a file of the environment that builds belongs to the distribution
whose RECORD names it, one of the system to its Debian package. An entry that belongs to nothing is an error: status 1.
Two runs over the same build write the same bytes.
"""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from PyInstaller.archive.readers import CArchiveReader

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
WORK = ROOT / "build" / "pyinstaller" / "pkgd"
SITE = Path(sys.prefix).resolve()
# What PyInstaller adds of itself: its table of contents has no source for these, or one that it has made.
_LOADERS = re.compile(r"pyimod\d+_\w+|pyi_rth_\w+|pyiboot\d+_\w+|PYZ\.pyz|pyi-contents-directory .*")
_STANDARD_LIBRARY = frozenset(["struct", "base_library.zip"])


class Orphan(Exception):
    """An entry that belongs to no component."""


def canonical(name: str) -> str:
    """The name of a distribution as package URLs have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def entries(executable: Path) -> Iterator[str]:
    """Every entry of an executable of PyInstaller's; those of its PYZ as `PYZ/module`."""
    archive = CArchiveReader(str(executable))
    for name in archive.toc:
        yield name
    for name in archive.open_embedded_archive("PYZ.pyz").toc:
        yield f"PYZ/{name}"


def inside() -> set[str]:
    """Every entry of both forms; the folder's files have the names that they have in the one file."""
    folder = DIST / "pkgd-onedir"
    found = {*entries(DIST / "pkgd"), *entries(folder / "pkgd")}
    files = (path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir())
    return found | {name.removeprefix("_internal/") for name in files}


def sources() -> dict[str, str]:
    """Where each entry came from, by PyInstaller's tables of contents."""
    found: dict[str, str] = {}
    for table in ast.literal_eval((WORK / "Analysis-00.toc").read_text(encoding="utf-8")):
        for row in table if isinstance(table, list) else ():
            if isinstance(row, tuple) and len(row) == 3 and isinstance(row[1], str):
                name, source, kind = row
                found[f"PYZ/{name}" if kind.startswith("PYMODULE") else name] = source
    return found


class Owners:
    """Whose a file is."""

    def __init__(self) -> None:
        self.components: dict[str, dict[str, Any]] = {}
        self._by_file: dict[str, Distribution] = {}
        self._debian: dict[str, str] = {}
        for one in distributions(path=[str(path) for path in SITE.glob("lib/python3*/site-packages")]):
            for file in one.files or ():
                self._by_file[str(Path(str(file.locate())).resolve())] = one

    def of(self, entry: str, source: str | None) -> str:
        """The package URL of an entry's component.

        :raises Orphan: if there is none.
        """
        if entry == "pkgd" or _LOADERS.fullmatch(entry):
            return self._distribution(next(one for one in self._by_file.values() if one.name == "pyinstaller"))
        if entry in _STANDARD_LIBRARY:
            source = json.__file__
        if source is None:
            raise Orphan(entry)
        path = Path(source).resolve()
        if owner := self._by_file.get(str(path)):
            return self._distribution(owner)
        if path.is_relative_to(ROOT) and not path.is_relative_to(SITE):
            return self._own()
        return self._package(entry, source)

    def _own(self) -> str:
        stamp = json.loads((ROOT / "build" / "stamp" / "_build.json").read_text(encoding="ascii"))
        found = re.search(r'^__version__ = "(.+)"$', (ROOT / "pkgd/__init__.py").read_text("utf-8"), re.MULTILINE)
        base = found[1] if found else ""
        version = base if stamp["release"] is None else f"{base}.{stamp['release']}"
        return self._add(f"pkg:generic/pkgd@{version}", "pkgd", version, type="application")

    def _distribution(self, one: Distribution) -> str:
        name = canonical(one.name)
        url = f"pkg:pypi/{name}@{one.version}"
        if url not in self.components:
            self._add(url, name, one.version)
            nested = [found for file in one.files or () if "/sboms/" in str(file) for found in _nested(file.locate())]
            if nested:
                self.components[url]["components"] = sorted(nested, key=lambda part: part["bom-ref"])
        return url

    def _package(self, entry: str, source: str) -> str:
        """The Debian package; `/lib` and `/usr/lib` are one place with two names, of which dpkg knows one."""
        for path in (source, source.removeprefix("/usr"), f"/usr{source}", str(Path(source).resolve())):
            command = ["dpkg-query", "--search", path]
            found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
            if found.returncode == 0:
                return self._installed(found.stdout.split(": ")[0].split(", ")[0])
        raise Orphan(f"{entry}, from {source}")

    def _installed(self, package: str) -> str:
        if package not in self._debian:
            form = "${Package}\t${Version}\t${Architecture}\t${source:Package}"
            command = ["dpkg-query", "--show", f"--showformat={form}", package]
            found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            name, version, architecture, source = found.stdout.split("\t")
            url = f"pkg:deb/debian/{name}@{version.replace(':', '%3A')}?arch={architecture}"
            origin = [{"name": "debian:source", "value": source}]
            self._debian[package] = self._add(url, name, version, properties=origin)
        return self._debian[package]

    def _add(self, url: str, name: str, version: str, **more: Any) -> str:
        component = {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url, **more}
        self.components.setdefault(url, component)
        return url


def _nested(file: Any) -> Iterator[dict[str, Any]]:
    """The components of a bill that a wheel has with it: Rust crates, OpenSSL."""
    for one in json.loads(Path(str(file)).read_text(encoding="utf-8")).get("components", []):
        url = one.get("purl", f"pkg:generic/{one['name']}@{one['version']}").partition("?")[0]
        yield {"type": "library", "bom-ref": url, "name": one["name"], "version": one["version"], "purl": url}


def _source_of(entry: str, known: dict[str, str]) -> str | None:
    """Where an entry came from; a package that is a mere folder is whose modules it holds."""
    source = known.get(entry)
    if source is None or not Path(source).is_file():
        below = (source for name, source in sorted(known.items()) if name.startswith(f"{entry}."))
        return next((source for source in below if Path(source).is_file()), None)
    return source


def bill() -> dict[str, Any]:
    """The document.

    :raises Orphan: if an entry belongs to nothing.
    """
    owners, known = Owners(), sources()
    places: dict[str, list[str]] = {}
    for entry in sorted(inside()):
        places.setdefault(owners.of(entry, _source_of(entry, known)), []).append(entry)
    for url, component in owners.components.items():
        component["evidence"] = {"occurrences": [{"location": one} for one in places[url]]}
    own = owners._own()
    parts = [one for url, one in sorted(owners.components.items()) if url != own]
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": owners.components[own]},
        "components": parts,
    }


def main() -> int:
    """Write it."""
    try:
        document = bill()
    except Orphan as error:
        print(f"sbom: {error}: belongs to no component", file=sys.stderr)
        return 1
    (DIST / "pkgd.cdx.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    nested = sum(len(one.get("components", ())) for one in document["components"])
    print(f"dist/pkgd.cdx.json: {len(document['components'])} components, {nested} nested in them")
    return 0


if __name__ == "__main__":
    sys.exit(main())
