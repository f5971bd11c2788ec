"""The bills of materials against what they are of, which is read here once more and by other means."""

from __future__ import annotations

import json
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any

from tests.live.tools import run

ROOT = Path(__file__).resolve().parents[2]
# Of Debian's packages in the base, what must be found whatever else is.
_BASE = {"libc6", "ca-certificates"}


def check(archive: Path) -> str:
    """Every file of the image, and every entry of the executable in it, belongs to exactly one component."""
    bill = json.loads(archive.with_suffix(".cdx.json").read_text())
    parts = bill["components"]
    references = Counter(one["bom-ref"] for one in _walk([bill["metadata"]["component"], *parts]))
    assert max(references.values()) == 1, references.most_common(3)
    places = Counter(place["location"] for one in parts for place in one["evidence"]["occurrences"])
    assert max(places.values()) == 1, places.most_common(3)
    files = _files(archive)
    named = {place for place in places if "!/" not in place}
    assert named == files, f"not in the bill: {sorted(files - named)}, not in the image: {sorted(named - files)}"
    program = "/opt/pkgd/pkgd" if "/opt/pkgd/pkgd" in files else "/usr/bin/pkgd"
    entries = _entries(ROOT / "dist" / ("pkgd-onedir/pkgd" if program.startswith("/opt") else "pkgd"))
    inside = {place.removeprefix(f"{program}!/") for place in places if "!/" in place}
    assert inside == entries, f"{sorted(entries - inside)[:5]}, {sorted(inside - entries)[:5]}"
    debian = {one["name"]: one["purl"] for one in parts if one["purl"].startswith("pkg:deb/debian/")}
    assert debian.keys() >= _BASE, debian
    assert all(purl.startswith(f"pkg:deb/debian/{name}@") for name, purl in debian.items()), debian
    nested = sum(1 for _ in _walk(parts)) - len(parts)
    return f"{len(files)} files and {len(entries)} entries of {len(parts)} components, {nested} nested in them"


def _walk(parts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [found for one in parts for found in (one, *_walk(one.get("components", [])))]


def _files(archive: Path) -> set[str]:
    """What is no directory in any layer."""
    layout = run("tar", "--extract", "--to-stdout", "--file", str(archive), "index.json")
    manifest = json.loads(_blob(archive, json.loads(layout)["manifests"][0]["digest"]))
    found = set()
    for layer in manifest["layers"]:
        with tarfile.open(archive) as whole:
            data = whole.extractfile(f"blobs/{layer['digest'].replace(':', '/')}")
            with tarfile.open(fileobj=data) as files:
                found |= {f"/{one.name}" for one in files if not one.isdir()}
    return found


def _blob(archive: Path, digest: str) -> str:
    return run("tar", "--extract", "--to-stdout", "--file", str(archive), f"blobs/{digest.replace(':', '/')}")


def _entries(program: Path) -> set[str]:
    """What PyInstaller's own viewer finds in an executable; what its archive of modules holds, below its name there."""
    said = run(str(ROOT / "build/venv/bin/pyi-archive_viewer"), "--list", "--recursive", "--brief", str(program))
    found: dict[str, set[str]] = {}
    below = ""
    for line in said.splitlines():
        if line and not line.startswith(" "):
            below = line
        elif line:
            found.setdefault(below, set()).add(line.strip())
    outer, inner = (lines for title, lines in found.items() if title.startswith("Contents of "))
    return outer | {f"PYZ/{name}" for name in inner}
