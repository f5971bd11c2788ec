"""The order of Debian's versions (dpkg's `dpkg_version_compare`): `[epoch:]upstream[-revision]`.

A part is read as runs of other characters and runs of digits in turn. Digits count as numbers; of the others
`~` sorts before the end of the part, the end before letters, and letters before the rest.
"""

from __future__ import annotations

import re

__all__ = ["compare", "key", "split", "without_epoch"]

_RUNS = re.compile(r"([^0-9]*)([0-9]*)")
_RANKS = {ord("~"): "\1"} | {code: chr(0x100 + code) for code in range(128) if not chr(code).isalnum() and code != 0x7E}
_END = "\2"


def split(version: str) -> tuple[int, str, str]:
    """Epoch, upstream version and revision; a missing epoch is 0, a missing revision "".

    The version has to be one, as `pkgd.formats.debnames` checks.
    """
    epoch, colon, rest = version.partition(":")
    upstream, _, revision = (rest if colon else version).rpartition("-")
    return (int(epoch) if colon else 0), upstream or revision, revision if upstream else ""


def without_epoch(version: str) -> str:
    """The version as file names have it."""
    return version.partition(":")[2] or version


def key(version: str) -> tuple[int, str, str]:
    """What sorts as the version does."""
    epoch, upstream, revision = split(version)
    return epoch, _part_key(upstream), _part_key(revision)


def compare(a: str, b: str) -> int:
    """Order two versions: -1, 0 or 1."""
    one, other = key(a), key(b)
    return (one > other) - (one < other)


def _part_key(part: str) -> str:
    """A text that sorts as the part does: ranks of characters, the end of the run, how many digits, the digits."""
    keys = []
    for others, digits in _RUNS.findall(part)[: -1 if part else None]:
        number = digits.lstrip("0")
        keys.append(f"{others.translate(_RANKS)}{_END}{chr(len(number))}{number}")
    return "".join(keys) + _END
