"""What bills of materials consist of: components with their package URLs, and the CycloneDX document around them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

__all__ = [
    "KINDS",
    "bills",
    "canonical",
    "component",
    "debian",
    "document",
    "found_at",
    "nested",
    "package_url",
    "walk",
    "write",
]

# What the names of images have after the version.
KINDS = ("", "-onedir")
# What nested ones keep of the bill that says they are in there.
_KEPT = ("licenses", "hashes")


def canonical(name: str) -> str:
    """The name of a Python distribution as package URLs have it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def package_url(kind: str, name: str, version: str, query: str = "") -> str:
    """A package URL, by github.com/package-url/purl-spec: a colon stays as it is, a plus does not."""
    return f"pkg:{kind}/{name}@{quote(version, safe=':~')}{query}"


def component(url: str, name: str, version: str, **more: Any) -> dict[str, Any]:
    """One component; its reference within the bill is its package URL."""
    return {"type": "library", "bom-ref": url, "name": name, "version": version, "purl": url, **more}


def debian(name: str, version: str, architecture: str, source: str, system: Mapping[str, str]) -> dict[str, Any]:
    """A package of the system, which is described as in /etc/os-release; advisories name it by its source package."""
    query = f"?arch={architecture}&distro={system['ID']}-{system['VERSION_ID']}"
    url = package_url(f"deb/{system['ID']}", name, version, query)
    return component(url, name, version, properties=[{"name": "debian:source", "value": source}])


def nested(parent: str, parts: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """What a component has linked in. Two may have the same, so a reference begins with whose it is."""
    found = []
    for one in parts:
        url = one.get("purl") or package_url("generic", one["name"], one["version"])
        plain = url.partition("?")[0]
        kept = {key: one[key] for key in _KEPT if key in one}
        found.append({**component(plain, one["name"], one["version"], **kept), "bom-ref": f"{parent}#{plain}"})
    return sorted(found, key=lambda part: str(part["bom-ref"]))


def found_at(places: Iterable[str]) -> dict[str, Any]:
    """The evidence: where in what is described the component is."""
    return {"occurrences": [{"location": one} for one in sorted(places)]}


def walk(parts: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All of them, nested ones too."""
    for one in parts:
        yield one
        yield from walk(one.get("components", ()))


def document(subject: dict[str, Any], parts: Iterable[dict[str, Any]]) -> dict[str, Any]:
    """The bill of a subject; two of the same parts are the same bytes."""
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {"component": subject},
        "components": sorted(parts, key=lambda part: str(part["bom-ref"])),
    }


def bills(folder: Path) -> list[dict[str, Any]]:
    """The bills of what was built last: the executable's, and those of its images, as far as there are any."""
    try:
        program = json.loads((folder / "pkgd.cdx.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return []
    version = program["metadata"]["component"]["version"]
    names = [f"pkgd-{version}{kind}.oci.cdx.json" for kind in KINDS]
    return [program, *(json.loads((folder / one).read_text("utf-8")) for one in names if (folder / one).is_file())]


def write(path: Path, bill: dict[str, Any]) -> str:
    """Write a bill; returns what to tell of it."""
    path.write_text(json.dumps(bill, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    inner = sum(1 for _ in walk(bill["components"])) - len(bill["components"])
    return f"{path.parent.name}/{path.name}: {len(bill['components'])} components, {inner} nested in them"
