"""The bill of materials of the executable, and the licences of what is in it: exactly of what is inside.

    build/venv/bin/python packaging/sbom/sbom.py

    dist/pkgd.cdx.json        CycloneDX 1.6. Locations are paths below dist/; `pkgd!/x` is x inside of dist/pkgd
    dist/pkgd.licences.txt    the texts that the components' licences ask to be passed on

What is inside is read from dist/pkgd and dist/pkgd-onedir/ themselves, not from a list of requirements. Where each
entry came from is in PyInstaller's table of contents; a file of the environment that builds belongs to the distribution
whose RECORD names it, one of the system to its Debian package. An entry that belongs to nothing is an error: status 1.
Two runs over the same build write the same bytes.
"""

from __future__ import annotations

import ast
import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any

from components import canonical, component, debian, document, found_at, nested, package_url, write
from licences import NoLicence, debian_text, distribution_text, notices, stated
from linked import Unknown, linked
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


def entries(executable: Path) -> Iterator[str]:
    """Every entry of an executable of PyInstaller's; those of its PYZ as `PYZ/module`."""
    archive = CArchiveReader(str(executable))
    yield from archive.toc
    for name in archive.open_embedded_archive("PYZ.pyz").toc:
        yield f"PYZ/{name}"


def inside() -> dict[str, str]:
    """What is where in both forms; the folder's files have the names that they have in the one file."""
    folder = DIST / "pkgd-onedir"
    found = {"pkgd": "pkgd"}
    for path in folder.rglob("*"):
        if not path.is_dir():
            name = path.relative_to(folder).as_posix()
            found[f"pkgd-onedir/{name}"] = name.removeprefix("_internal/")
    for program in ("pkgd", "pkgd-onedir/pkgd"):
        found |= {f"{program}!/{entry}": entry for entry in entries(DIST / program)}
    return found


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
    """Whose an entry is, and the components that were found to own one."""

    def __init__(self, origins: dict[str, str]) -> None:
        self.components: dict[str, dict[str, Any]] = {}
        self.texts: dict[str, str] = {}
        self._origins = origins
        self._by_file: dict[str, Distribution] = {}
        self._distributions: dict[Distribution, dict[str, Any]] = {}
        found = list(distributions(path=[str(path) for path in SITE.glob("lib/python3*/site-packages")]))
        self._loader = next(one for one in found if one.name == "pyinstaller")
        for one in found:
            for file in one.files or ():
                self._by_file[str(Path(str(file.locate())).resolve())] = one
        self._packages = _debian_files({*origins.values(), json.__file__})
        self._installed: dict[str, str] = {}
        self._system = platform.freedesktop_os_release()

    def of(self, entry: str) -> str:
        """The package URL of an entry's component.

        :raises Orphan: if there is none.
        :raises NoLicence: if that component's text is not here.
        :raises Unknown: if it is native code of which nobody has said what is in it.
        """
        if entry == "pkgd":
            return self.own()
        if _LOADERS.fullmatch(entry):
            return self._distribution(self._loader, native=True)
        source = json.__file__ if entry in _STANDARD_LIBRARY else self._source(entry)
        if source is None:
            raise Orphan(entry)
        path = Path(source).resolve()
        if owner := self._by_file.get(str(path)):
            return self._distribution(owner, native=".so" in path.suffixes)
        if path.is_relative_to(ROOT) and not path.is_relative_to(SITE):
            return self.own()
        for name in _names(source):
            if package := self._packages.get(name):
                return self._package(package)
        raise Orphan(f"{entry}, from {source}")

    def own(self) -> str:
        """pkgd itself."""
        stamp = json.loads((ROOT / "build" / "stamp" / "_build.json").read_text(encoding="ascii"))
        found = re.search(r'^__version__ = "(.+)"$', (ROOT / "pkgd/__init__.py").read_text("utf-8"), re.MULTILINE)
        base = found[1] if found else ""
        version = base if stamp["release"] is None else f"{base}.{stamp['release']}"
        url = package_url("generic", "pkgd", version)
        one = component(url, "pkgd", version, licenses=[{"expression": "Apache-2.0"}])
        return self._add({**one, "type": "application"})

    def _source(self, entry: str) -> str | None:
        """Where an entry came from; a package that is a mere folder is whose modules it holds."""
        source = self._origins.get(entry)
        if source is None or not Path(source).is_file():
            below = (source for name, source in sorted(self._origins.items()) if name.startswith(f"{entry}."))
            return next((source for source in below if Path(source).is_file()), None)
        return source

    def _distribution(self, one: Distribution, native: bool) -> str:
        held = self._distributions.get(one)
        if held is None:
            name, version = canonical(one.name), one.version
            said = {"licenses": licences} if (licences := stated(one)) else {}
            held = component(package_url("pypi", name, version), name, version, **said)
            self._distributions[one] = self.components[held["bom-ref"]] = held
            self.texts[f"{name} {version}"] = distribution_text(one)
        if native and "components" not in held:
            bills = [file for file in one.files or () if "/sboms/" in str(file)]
            parts = [part for file in bills for part in json.loads(file.read_text())["components"]]
            held["components"] = nested(held["bom-ref"], parts if bills else linked(held["name"], held["version"]))
        return str(held["bom-ref"])

    def _package(self, package: str) -> str:
        if package not in self._installed:
            form = "${Package}\t${Version}\t${Architecture}\t${source:Package}"
            command = ["dpkg-query", "--show", f"--showformat={form}", package]
            found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
            name, version, architecture, source = found.stdout.split("\t")
            self._installed[package] = self._add(debian(name, version, architecture, source, self._system))
            self.texts[f"{name} {version}"] = debian_text(name)
        return self._installed[package]

    def _add(self, one: dict[str, Any]) -> str:
        self.components.setdefault(one["bom-ref"], one)
        return str(one["bom-ref"])


def _names(path: str) -> list[str]:
    """`/lib` and `/usr/lib` are one place with two names, of which dpkg knows one; links are no names of their own."""
    return [path, path.removeprefix("/usr"), f"/usr{path}", str(Path(path).resolve())]


def _debian_files(paths: Iterable[str]) -> dict[str, str]:
    """The package of every path that belongs to one."""
    wanted = sorted({name for path in paths if path.startswith("/") for name in _names(path)})
    command = ["dpkg-query", "--search", *wanted]  # it complains of what it does not know, and tells the rest
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    lines = (line.partition(": ") for line in found.stdout.splitlines() if not line.startswith("diversion by "))
    return {path: packages.split(", ")[0] for packages, _, path in lines}


def bill() -> tuple[dict[str, Any], str]:
    """The document, and the licences' texts."""
    owners = Owners(sources())
    places: dict[str, list[str]] = {}
    for place, entry in sorted(inside().items()):
        places.setdefault(owners.of(entry), []).append(place)
    for url, one in owners.components.items():
        one["evidence"] = found_at(places[url])
        if "components" in one and not one["components"]:
            del one["components"]
    subject = owners.components.pop(owners.own())
    return document(subject, owners.components.values()), notices(owners.texts)


def main() -> int:
    """Write both."""
    try:
        found, licences = bill()
    except Orphan as error:
        print(f"sbom: {error}: belongs to no component", file=sys.stderr)
    except NoLicence as error:
        print(f"sbom: {error}: the text of its licence is not here", file=sys.stderr)
    except Unknown as error:
        print(f"sbom: {error}", file=sys.stderr)
    else:
        print(write(DIST / "pkgd.cdx.json", found))
        (DIST / "pkgd.licences.txt").write_text(licences, encoding="utf-8")
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
