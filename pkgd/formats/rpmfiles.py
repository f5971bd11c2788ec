"""The files of a package, as its header lists them.

Kept in columns, not as one object a file: a package may have hundreds of thousands.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import add

from attrs import field, frozen

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpmheader import Header
from pkgd.formats.rpmtext import decode, size_as_xml

__all__ = ["FileList", "read_files"]

_DIRECTORY, _TYPE_MASK = 0o040000, 0o170000
_GHOST = 1 << 6


@frozen
class FileList:
    """The paths of a package.

    `kinds` says of each whether it is a "dir", a "ghost" or, "", a file. `primary` are the positions of those that
    primary.xml lists: what clients know without the file lists. `own` are these as the header has them.
    """

    paths: Sequence[str] = field(repr=False, default=())
    kinds: Sequence[str] = field(repr=False, default=())
    primary: Sequence[int] = field(repr=False, default=())
    own: frozenset[bytes] = field(repr=False, default=frozenset())


def read_files(header: Header, max_files: int, max_bytes: int) -> FileList:
    """Read a header's lists of files; packages from before 1999 have whole paths, all others have directories apart.

    :param max_files: how many files are taken.
    :param max_bytes: how many bytes all their paths may have together, as XML.
    :raises InvalidPackage: if there are more, or the lists don't fit together.
    """
    if tags.DIR_NAMES not in header and tags.OLD_FILE_NAMES in header:
        names, *others = (tags.OLD_FILE_NAMES,)
    else:
        names, *others = (tags.BASE_NAMES, tags.DIR_INDEXES)
    count = header.count(names)
    if count > max_files:
        raise InvalidPackage(header.what, f"{count} files are more than the limit of {max_files}")
    others += [tags.FILE_FLAGS, tags.FILE_MODES, tags.FILE_DIGESTS]
    if not count or not all(tag in header for tag in others):
        return FileList()
    if any(header.count(tag) != count for tag in others):
        raise InvalidPackage(header.what, "its lists of files differ in length")
    header.check_texts(names, tags.DIR_NAMES)
    paths, written = header.strings(names), size_as_xml(header.value(names))
    if names == tags.BASE_NAMES:
        directories, indexes = _directories(header)
        # One long directory with many files costs far more than the header has bytes.
        sizes = [size_as_xml(directory) for directory in directories]
        written += sum(map(sizes.__getitem__, indexes))
    if written > max_bytes:
        raise InvalidPackage(header.what, f"its paths have {written} bytes, more than the limit of {max_bytes}")
    if names == tags.BASE_NAMES:
        paths = list(map(add, map(directories.__getitem__, indexes), paths))
    primary = [number for number, path in enumerate(paths) if _is_primary(path)]
    kinds = [
        "dir" if mode & _TYPE_MASK == _DIRECTORY else "ghost" if flags & _GHOST else ""
        for mode, flags in zip(header.numbers(tags.FILE_MODES), header.numbers(tags.FILE_FLAGS), strict=True)
    ]
    own = frozenset(path for path in map(paths.__getitem__, primary) if path.startswith(b"/"))
    return FileList(_decode(paths), kinds, primary, own)


def _directories(header: Header) -> tuple[list[bytes], tuple[int, ...]]:
    """The directories, and for each file the position of its own."""
    directories, indexes = header.strings(tags.DIR_NAMES), header.numbers(tags.DIR_INDEXES)
    if max(indexes) >= len(directories) or len(directories) > len(indexes):
        raise InvalidPackage(header.what, "its files are in directories that it does not have")
    return directories, indexes


def _is_primary(path: bytes) -> bool:
    return b"bin/" in path or path[:5] == b"/etc/" or path == b"/usr/lib/sendmail"


def _decode(paths: list[bytes]) -> list[str]:
    try:
        return b"\0".join(paths).decode("utf-8").split("\0")
    except UnicodeDecodeError:
        return [decode(path) for path in paths]
