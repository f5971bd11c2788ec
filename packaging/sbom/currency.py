"""Whether every component is at its registry's newest release, or pinned in pins.toml with a reason.

    currency.py

Python's are those of requirements/*.txt; pip says which release is the newest for this Python, from the index that it
is set up for. Debian's, written debian/NAME, are those of the bills in dist/, against what apt would install. What a
wheel has linked in is as new as its newest release has it. Exit status: 0 all are, 1 not all, 2 pins.toml is not as it
should be, 3 a registry cannot be asked.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components import bills, canonical, walk

ROOT = Path(__file__).resolve().parents[2]
PINS = Path(__file__).with_name("pins.toml")
_DEBIAN = "debian/"
_LOCKED = re.compile(r"^([A-Za-z0-9][\w.-]*)==(\S+)", re.MULTILINE)
_POLICY = re.compile(r"^(\S+):\n((?:[ \t].*\n)+)", re.MULTILINE)
_CANDIDATE = re.compile(r"^  Candidate: (\S+)$", re.MULTILINE)


class Unreachable(Exception):
    """A registry does not say what is newest."""


class Malformed(Exception):
    """pins.toml cannot be used."""


@dataclass(frozen=True)
class Pin:
    """A component that stays at a version."""

    name: str
    version: str
    reason: str


def locked(texts: Iterable[str]) -> dict[str, set[str]]:
    """The versions of each distribution in lock files."""
    found: dict[str, set[str]] = {}
    for text in texts:
        for name, version in _LOCKED.findall(text):
            found.setdefault(canonical(name), set()).add(version)
    return found


def installed(made: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """The versions of each Debian package in bills, as `debian/NAME`."""
    found: dict[str, set[str]] = {}
    for bill in made:
        for one in walk(bill["components"]):
            if one["purl"].startswith("pkg:deb/"):
                found.setdefault(f"{_DEBIAN}{one['name']}", set()).add(one["version"])
    return found


def pins(text: str) -> dict[str, Pin]:
    """What pins.toml says.

    :raises Malformed: if that is not `[[pin]]` with name, version and reason.
    """
    try:
        said = tomllib.loads(text)
        found = {one["name"]: Pin(**one) for one in said.pop("pin", [])}
    except (tomllib.TOMLDecodeError, TypeError, KeyError) as error:
        raise Malformed(str(error)) from None
    if said or not all(one.reason.strip() for one in found.values()):
        raise Malformed("a pin has a name, a version and a reason, and there is nothing else")
    return found


def complaints(held: dict[str, set[str]], newest: dict[str, str], pinned: dict[str, Pin]) -> Iterator[str]:
    """What is not as it should be: neither newest nor pinned, or pinned for nothing."""
    for name, versions in sorted(held.items()):
        for version in sorted(versions - {newest[name]}):
            if name not in pinned:
                yield f"{name} {version}: {newest[name]} is the newest"
            elif pinned[name].version != version:
                yield f"{name} {version}: pins.toml pins {pinned[name].version}"
    for name, pin in sorted(pinned.items()):
        if held.get(name, set()) <= {newest.get(name)}:
            yield f"{name}: the pin at {pin.version} is not needed"


def candidates(policy: str) -> dict[str, str]:
    """What apt would install of each package, by `apt-cache policy`.

    :raises Unreachable: if apt knows a package only as installed.
    """
    found = {}
    for name, block in _POLICY.findall(policy):
        candidate = _CANDIDATE.search(block)
        if candidate is None or "://" not in block:
            raise Unreachable(f"apt knows no archive that has {name}: apt-get update")
        found[f"{_DEBIAN}{name}"] = candidate[1]
    return found


def newest_distributions(names: Iterable[str]) -> dict[str, str]:
    """What pip would install of each, were nothing there.

    :raises Unreachable: if it cannot tell.
    """
    options = ["--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--report", "-"]
    report = json.loads(_run(sys.executable, "-m", "pip", "install", *options, *sorted(names)))
    return {canonical(one["metadata"]["name"]): one["metadata"]["version"] for one in report["install"]}


def _run(*command: str) -> str:
    found = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if found.returncode:
        raise Unreachable(f"{' '.join(command[:4])}: {found.stderr.strip()}")
    return found.stdout


def main() -> int:
    """Look, and tell."""
    held = locked(path.read_text(encoding="ascii") for path in (ROOT / "requirements").glob("*.txt"))
    made = bills(ROOT / "dist")
    packages = installed(made)
    try:
        pinned = pins(PINS.read_text(encoding="utf-8"))
        newest = newest_distributions(held)
        if packages:
            newest |= candidates(
                _run("apt-cache", "policy", *(name.removeprefix(_DEBIAN) for name in sorted(packages)))
            )
    except Malformed as error:
        print(f"currency: {PINS.name}: {error}", file=sys.stderr)
        return 2
    except Unreachable as error:
        print(f"currency: what is newest cannot be told: {error}", file=sys.stderr)
        return 3
    said = list(complaints({**held, **packages}, newest, pinned))
    for line in said:
        print(line)
    for pin in pinned.values():
        print(f"pinned: {pin.name} {pin.version}: {pin.reason}")
    if not packages:
        print("there is no bill of materials in dist/, so Debian's packages were not looked at: make image")
    inner = {one["purl"] for bill in made for part in bill["components"] for one in part.get("components", ())}
    print(f"{len(held)} distributions with {len(inner)} parts that come with them, {len(packages)} Debian packages")
    print(f"{len(said)} not as they should be")
    return 1 if said else 0


if __name__ == "__main__":
    sys.exit(main())
