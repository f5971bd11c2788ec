"""Contents: which package has which file, a line for each path (apt, ftparchive/contents.cc).

    usr/bin/hello<tabs and spaces>utils/hello,utils/hello-traditional

Paths are bytes: those of data.tar, whatever their encoding. A line ends in the last of its columns, so a path may
have spaces in it, but none at its end.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from pkgd.errors import InvalidPackage

__all__ = ["contents_line", "contents_lines", "contents_location", "is_listable", "read_contents_line"]

_SECTION = re.compile(r"[A-Za-z0-9+./_-]+")
_LINE = re.compile(rb"([^\n]*[^ \t\n])[ \t]+([^ \t\n]+)\n")


def contents_location(section: str, name: str) -> str:
    """How Contents calls a package: `section/name`, or its name where the section is none."""
    return f"{section}/{name}" if _SECTION.fullmatch(section) else name


def is_listable(path: bytes) -> bool:
    """Whether a line could be read again that has this path, which has no control characters."""
    return bool(path) and not path.endswith(b" ")


def contents_line(path: bytes, locations: Iterable[str]) -> bytes:
    """The line of a path. Columns meet at 60, with tabs as far as they go."""
    width = max(60, len(path) + 1)
    tabs = max(0, (width - 1) // 8 - len(path) // 8)
    reached = (len(path) // 8 + tabs) * 8 if tabs else len(path)
    return b"".join([path, b"\t" * tabs, b" " * (width - reached), ",".join(locations).encode(), b"\n"])


def read_contents_line(line: bytes) -> tuple[bytes, list[str]]:
    """The path of a line, and the locations of those who have it.

    :raises InvalidPackage: if it is no line.
    """
    found = _LINE.fullmatch(line)
    if found is None:
        raise InvalidPackage("Contents", "a line without a path and a package")
    return found[1], found[2].decode("ascii", "replace").split(",")


def contents_lines(files: Iterable[tuple[bytes, str]]) -> Iterator[bytes]:
    """The lines of Contents: each path once, in the order of its bytes, and who has it.

    :param files: paths and locations, in any order.
    """
    last, locations = b"", [""]
    for path, location in sorted(set(files)):
        if path == last:
            locations.append(location)
            continue
        if last:
            yield contents_line(last, locations)
        last, locations = path, [location]
    if last:
        yield contents_line(last, locations)
