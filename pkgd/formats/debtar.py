"""The tar archives in a Debian package: `control` out of one, paths out of the other.

No general reader of tar: a handful of fields of each header is looked at, and everything else is passed over
(deb(5), tar(5); dpkg, lib/dpkg/tarfn.c).
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import define, field, frozen

from pkgd.errors import InvalidPackage

__all__ = ["PAUSE", "TarLimits", "read_control", "walk_paths"]

PAUSE = 1024 * 1024

_BLOCK = 512
_MAX_EXTENSION = 64 * 1024
_MAX_CONTROL_MEMBERS = 64
_MAX_CONTROL = 1024 * 1024

_REGULAR = b"\x000"
_DIRECTORY = b"5"
_LONG_NAME = b"L"
# Headers about the next member: long name and link target of GNU tar, pax header, pax header for all that follow.
_EXTENSIONS = b"LKxg"

_OCTAL = re.compile(rb" *([0-7]+)[ \x00]*")
# How a negative number in binary begins: a time before 1970.
_NEGATIVE = 0xFF
# What a line of text cannot carry.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


@frozen
class TarLimits:
    """How much of data.tar is listed; the largest real packages have some 200,000 paths."""

    members: int = 300_000
    path_bytes: int = 32 * 1024 * 1024


@frozen
class _Header:
    name: bytes
    kind: bytes
    size: int


@define
class _Reader:
    """A tar archive, read from pieces of any size."""

    _pieces: Iterator[bytes]
    _held: bytes = b""
    _at: int = 0

    def read(self, count: int) -> bytes:
        """That many bytes.

        :raises InvalidPackage: if the archive ends before.
        """
        end = self._at + count
        if end <= len(self._held):
            taken = self._held[self._at : end]
            self._at = end
            return taken
        parts, missing = [self._held[self._at :]], end - len(self._held)
        while missing > 0:
            self._held = self._next()
            parts.append(self._held[:missing])
            self._at = min(missing, len(self._held))
            missing -= self._at
        return b"".join(parts)

    def skip(self, count: int) -> None:
        """Pass over that many bytes, keeping none of them."""
        self._at += count
        while self._at > len(self._held):
            self._at -= len(self._held)
            self._held = self._next()

    def is_at_end(self) -> bool:
        """Whether no byte is left."""
        while self._at == len(self._held):
            self._at, self._held = 0, next(self._pieces, b"")
            if not self._held:
                return True
        return False

    def _next(self) -> bytes:
        piece = next(self._pieces, None)
        if piece is None:
            raise InvalidPackage("archive", "its tar archive is cut")
        return piece


@define
class _Members:
    """The headers of a tar archive; whoever takes one has to read or skip its `size` bytes, padding included."""

    reader: _Reader
    limit: int
    is_strict: bool = False
    _count: int = field(default=0, init=False)

    def next(self) -> _Header | None:
        """The next header, or None after the last."""
        block = self.reader.read(_BLOCK)
        if block[0] == 0 and not block.strip(b"\0"):
            return None
        self._count += 1
        if self._count > self.limit:
            raise InvalidPackage("archive", f"its tar archive has more than {self.limit} members")
        if self.is_strict:
            _check_numbers(block)
        return _parse_header(block)


def _parse_header(block: bytes) -> _Header:
    # The checksum counts its own eight bytes as spaces.
    expected = sum(block) - sum(block[148:156]) + 8 * 32
    if _number(block[148:156]) != expected:
        raise InvalidPackage("archive", "a header of its tar archive is damaged")
    name = block[:100].partition(b"\0")[0]
    if block[257:263] == b"ustar\0" and block[345]:
        name = block[345:500].partition(b"\0")[0] + b"/" + name
    return _Header(name, block[156:157], _number(block[124:136]))


def _number(digits: bytes) -> int:
    """A number in octal, or in binary as GNU tar writes the large ones."""
    found = _OCTAL.fullmatch(digits)
    if found:
        return int(found[1], 8)
    if digits[0] == 0x80:
        return int.from_bytes(digits[1:], "big")
    raise InvalidPackage("archive", "a number in its tar archive is none")


def _check_numbers(block: bytes) -> None:
    """Mode, owner, group and time, which are of no use here, but which dpkg's tar has to understand."""
    for digits in (block[100:108], block[108:116], block[116:124], block[136:148]):
        if digits.strip(b" \0") and digits[0] != _NEGATIVE:
            _number(digits)


def _padded(size: int) -> int:
    return size + -size % _BLOCK


def read_control(pieces: Iterator[bytes]) -> bytes:
    """The file `control` of control.tar; nothing behind it is read.

    A member whose name is in an extension header is never it: those are passed over unread.

    :raises InvalidPackage: if it isn't there, is no plain file, is too large, or if what is before it is damaged.
    """
    reader = _Reader(pieces)
    members = _Members(reader, _MAX_CONTROL_MEMBERS, is_strict=True)
    is_renamed = False
    while (header := members.next()) is not None:
        if header.kind in _EXTENSIONS:
            _check_extension(header)
            is_renamed = True
        elif header.name in (b"control", b"./control") and not is_renamed:
            if header.kind not in _REGULAR:
                raise InvalidPackage("control", "it is no plain file")
            if header.size > _MAX_CONTROL:
                raise InvalidPackage("control", f"it is larger than {_MAX_CONTROL} bytes")
            return reader.read(header.size)
        elif header.kind not in _REGULAR + _DIRECTORY:
            raise InvalidPackage("archive", "it has links or devices beside its control file")
        else:
            is_renamed = False
        reader.skip(_padded(header.size))
    raise InvalidPackage("archive", "it has no control file")


def _check_extension(header: _Header) -> None:
    if header.size > _MAX_EXTENSION:
        raise InvalidPackage("archive", f"a name in its tar archive is longer than {_MAX_EXTENSION} bytes")


def walk_paths(pieces: Iterator[bytes], limits: TarLimits) -> Iterator[bytes]:
    """The paths of data.tar that are no directories, without `./` or `/` before them, in the archive's order.

    A path with control characters is left out, for no line of an index could carry it. Between them come empty
    ones, a `PAUSE` of the archive each, so that whoever takes them can stop for a while in the middle of a file.

    :raises InvalidPackage: if the archive is damaged or larger than the limits.
    """
    reader = _Reader(pieces)
    members = _Members(reader, limits.members)
    length, long_name = 0, b""
    while not reader.is_at_end() and (header := members.next()) is not None:
        if header.kind in _EXTENSIONS:
            _check_extension(header)
            content = reader.read(_padded(header.size))[: header.size]
            long_name = content.partition(b"\0")[0] if header.kind == _LONG_NAME else long_name
            continue
        path = (long_name or header.name).removeprefix(b"./").lstrip(b"/")
        long_name = b""
        # Only plain files have content; what the size of a link says is its target's.
        yield from _skip_slowly(reader, _padded(header.size))
        if header.kind == _DIRECTORY or not path or path.endswith(b"/"):
            continue
        length += len(path)
        if length > limits.path_bytes:
            raise InvalidPackage("archive", f"its paths are longer than {limits.path_bytes} bytes together")
        if not _UNPRINTABLE.search(path.decode("utf-8", "surrogateescape")):
            yield path


def _skip_slowly(reader: _Reader, count: int) -> Iterator[bytes]:
    while count > PAUSE:
        reader.skip(PAUSE)
        count -= PAUSE
        yield b""
    reader.skip(count)
