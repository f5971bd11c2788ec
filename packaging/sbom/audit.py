"""Asks OSV about every component of dist/pkgd.cdx.json.

    audit.py

$OSV_URL names the source, https://api.osv.dev by default. Exit status: 0 nothing is known against any, 1 something is,
2 there is no bill, 3 the source cannot be reached, so nothing is known at all.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

BILL = Path(__file__).resolve().parents[2] / "dist" / "pkgd.cdx.json"
_ECOSYSTEMS = {"pkg:pypi/": "PyPI", "pkg:cargo/": "crates.io", "pkg:deb/debian/": "Debian:12"}


def components(parts: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """All of them, nested ones too."""
    for one in parts:
        yield one
        yield from components(one.get("components", []))


def query(component: dict[str, Any]) -> dict[str, Any] | None:
    """What OSV is asked about a component; None where it knows nothing of that kind. Debian's it knows by source."""
    for prefix, ecosystem in _ECOSYSTEMS.items():
        if component["purl"].startswith(prefix):
            facts = {one["name"]: one["value"] for one in component.get("properties", [])}
            name = facts.get("debian:source", component["name"])
            return {"package": {"name": name, "ecosystem": ecosystem}, "version": component["version"]}
    return None


def main() -> int:
    """Ask, and print what is found."""
    try:
        found = list(components(json.loads(BILL.read_text(encoding="utf-8"))["components"]))
    except FileNotFoundError:
        print(f"audit: {BILL} does not exist: make sbom", file=sys.stderr)
        return 2
    asked = [(one, question) for one in found if (question := query(one))]
    url = os.environ.get("OSV_URL", "https://api.osv.dev")
    body = json.dumps({"queries": [question for _, question in asked]}).encode()
    request = Request(f"{url}/v1/querybatch", body, {"Content-Type": "application/json"})  # noqa: S310
    try:
        with urlopen(request, timeout=60) as answer:  # noqa: S310
            results = json.load(answer)["results"]
        if len(results) != len(asked):
            raise ValueError(f"{len(results)} answers to {len(asked)} questions")
    except (OSError, ValueError, LookupError) as error:
        print(f"audit: {url} cannot be asked, nothing is known: {error}", file=sys.stderr)
        return 3
    bad = 0
    for (one, _), result in zip(asked, results, strict=True):
        for advisory in result.get("vulns", []):
            print(f"{advisory['id']}: {one['purl']}")
            bad += 1
    for one in found:
        if query(one) is None:
            print(f"not asked about, of a kind that OSV does not know: {one['purl']}")
    print(f"{bad} advisories, {len(asked)} components asked about")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
