"""Texts of rpm headers: bytes that should be UTF-8, and were not always, on their way into XML."""

from __future__ import annotations

from pkgd.errors import InvalidPackage

__all__ = ["check_text", "decode", "size_as_xml"]

# What XML cannot carry, and what createrepo_c drops of bytes that it takes for latin-1.
_CONTROLS = bytes(set(range(1, 32)) - {9, 10, 13})
_NOT_LATIN_1 = _CONTROLS + bytes(range(0x80, 0xC0))
_NONCHARACTERS = (b"\xef\xbf\xbe", b"\xef\xbf\xbf")


def decode(value: bytes) -> str:
    """A string of a header as text: UTF-8, or else latin-1 without its control characters, as createrepo_c does it.

    Overlong sequences and surrogates are not UTF-8 here; createrepo_c would write them into XML that nobody reads.
    """
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.translate(None, _NOT_LATIN_1).decode("latin-1")


def check_text(what: str, value: bytes) -> None:
    """Refuse what XML cannot carry: one such character would make the whole repository unreadable.

    :param what: which text it is, for the error.
    :param value: a string, or several with their NULs.
    :raises InvalidPackage: for control characters and noncharacters.
    """
    if len(value.translate(None, _CONTROLS)) != len(value):
        raise InvalidPackage(what, "it has control characters, which no repository can list")
    if not value.isascii() and any(character in value for character in _NONCHARACTERS):
        raise InvalidPackage(what, "it has characters that no repository can list")


def size_as_xml(value: bytes) -> int:
    """How many bytes a text has when it is written as XML."""
    return len(value) + 4 * (value.count(b"&") + value.count(b"\r")) + 3 * (value.count(b"<") + value.count(b">"))
