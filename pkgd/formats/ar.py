"""The outer shell of Debian packages: an `ar` archive, of which only headers are read.

    !<arch>\\n | (name 16, time 12, owner 6, group 6, mode 8, size 10, `\\n | bytes, padded to an even length) …

Stricter than `ar`: few members, plain names, sizes that add up to the file to the byte (deb(5); apt,
apt-pkg/contrib/arfile.cc).
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable

from attrs import frozen

from pkgd.errors import InvalidPackage

__all__ = ["Member", "ReadAt", "read_members"]

# Offset and size to that many bytes, fewer at the end.
ReadAt = Callable[[int, int], bytes]

MAX_MEMBERS = 8
_MAGIC = b"!<arch>\n"
# Name, time, owner, group, mode, size, and what ends a header.
_HEADER = struct.Struct("16s12s6s6s8s10s2s")
# Longer names begin with `/` or `#1/` in some dialects of ar: refused.
_NAME = re.compile(rb"([A-Za-z0-9._+-]+)/? *")
_NUMBER = re.compile(rb"[0-9]* *")
_SIZE = re.compile(rb"([0-9]+) *")


@frozen
class Member:
    """One file in the archive: its name, and where its bytes are."""

    name: str
    start: int
    size: int


def read_members(read_at: ReadAt, size: int) -> tuple[Member, ...]:
    """The members of an archive, in their order.

    :param read_at: the archive's bytes.
    :param size: of the archive.
    :raises InvalidPackage: if it is none, is cut, has bytes left over, or has too many members.
    """
    if read_at(0, len(_MAGIC)) != _MAGIC:
        raise InvalidPackage("archive", "it does not begin as a Debian package does")
    members: list[Member] = []
    offset = len(_MAGIC)
    while offset < size:
        if len(members) == MAX_MEMBERS:
            raise InvalidPackage("archive", f"it has more than {MAX_MEMBERS} members")
        member = _read_member(read_at(offset, _HEADER.size), offset)
        members.append(member)
        offset = member.start + member.size + member.size % 2
    if offset != size:
        raise InvalidPackage("archive", f"its members end at byte {offset}, the file ends at {size}")
    return tuple(members)


def _read_member(header: bytes, offset: int) -> Member:
    if len(header) == _HEADER.size:
        name, *numbers, size, end = _HEADER.unpack(header)
        named, sized = _NAME.fullmatch(name), _SIZE.fullmatch(size)
        if named and sized and end == b"`\n" and all(_NUMBER.fullmatch(number) for number in numbers):
            return Member(named[1].decode("ascii"), offset + _HEADER.size, int(sized[1]))
    raise InvalidPackage("archive", f"no header of a member at byte {offset}")
