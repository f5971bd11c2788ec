"""The licences of what is in the executable: what each component says, and the texts that have to go with it."""

from __future__ import annotations

import re
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

__all__ = ["NoLicence", "debian_text", "distribution_text", "notices", "stated"]

_NAMES = re.compile(r"(LICEN[CS]E|COPYING|NOTICE)[^/]*", re.IGNORECASE)
_HEAD = """\
pkgd is under the Apache License, Version 2.0. It contains the components below, each under its own licence. The bill of
materials that is published with a release says what of pkgd each of them is.
"""
_RULE = "=" * 100


class NoLicence(Exception):
    """A component has no text."""


def stated(one: Distribution) -> list[dict[str, Any]]:
    """What a distribution states, as CycloneDX has it: an expression of SPDX's, or else a name."""
    if expression := one.metadata.get("License-Expression"):
        return [{"expression": expression}]
    name = one.metadata.get("License") or ""
    if not name or "\n" in name:
        kinds = (line for line in one.metadata.get_all("Classifier") or () if line.startswith("License :: "))
        name = next(kinds, "").rpartition(" :: ")[2]
    return [{"license": {"name": name}}] if name else []


def distribution_text(one: Distribution) -> str:
    """The texts that a wheel has with it.

    :raises NoLicence: if it has none.
    """
    files = [file for file in one.files or () if ".dist-info" in str(file) and _NAMES.fullmatch(file.name)]
    texts = [Path(str(file.locate())).read_text(encoding="utf-8") for file in sorted(files, key=str)]
    if not texts:
        raise NoLicence(one.name)
    return "\n\n".join(text.strip() for text in texts)


def debian_text(package: str) -> str:
    """What Debian's Policy (12.5) has in every package.

    :raises NoLicence: if the machine has been set up without it.
    """
    try:
        return Path(f"/usr/share/doc/{package}/copyright").read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        raise NoLicence(package) from None


def notices(texts: dict[str, str]) -> str:
    """The file of them all, by component; the same text stands there once."""
    owners: dict[str, list[str]] = {}
    for name, text in sorted(texts.items()):
        owners.setdefault(text, []).append(name)
    return "\n".join([_HEAD, *(f"{_RULE}\n{', '.join(names)}\n{_RULE}\n\n{text}\n" for text, names in owners.items())])
