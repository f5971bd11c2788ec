"""Stanzas: `Name: value` lines, as control files and indices of Debian have them (Debian Policy 5.1, deb822(5)).

The text of a value is kept as it is, because indices repeat it. What two parsers could read in two ways is
refused, since a forged stanza is made of such things: doubled fields, blank lines in values, comments,
characters that pass for a line end somewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from attrs import field, frozen

from pkgd.errors import InvalidPackage

__all__ = ["Stanza", "parse_stanza", "parse_stanzas"]

MAX_FIELDS = 256
_NAME = re.compile(r"[!-\"$-,.-9;-~][!-9;-~]*")
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
_ENDS = re.compile(r"\n{2,}")
_SPACES = " \t\n"


@frozen
class Stanza:
    """Fields in their order; names are found whatever their case."""

    # Lower-case name -> name as written, and everything between the colon and the end of the value.
    _fields: Mapping[str, tuple[str, str]] = field(repr=False)

    @property
    def names(self) -> tuple[str, ...]:
        """The fields' names, as they are written."""
        return tuple(name for name, _ in self._fields.values())

    def __contains__(self, name: str) -> bool:
        return name.lower() in self._fields

    def get(self, name: str, default: str = "") -> str:
        """A value without the space around it; further lines keep theirs."""
        found = self._fields.get(name.lower())
        return found[1].strip(_SPACES) if found else default

    def raw(self, name: str) -> str:
        """A value with the space between it and the colon; "" if there is no such field."""
        found = self._fields.get(name.lower())
        return found[1] if found else ""

    def line(self, name: str) -> str:
        """A value that has to be there, in one line.

        :raises InvalidPackage: if it isn't.
        """
        value = self.get(name)
        # Nor may its one line be the second: dpkg takes the line end for a part of the value then.
        if not value or "\n" in self.raw(name):
            raise InvalidPackage(name, "a field that is missing" if not value else "a field that must be one line")
        return value


def parse_stanza(data: bytes) -> Stanza:
    """The one stanza in a text; blank lines may follow it.

    :raises InvalidPackage: if there is none or more than one, or if it isn't well-formed.
    """
    stanzas = list(_split(_decode(data), 2))
    if len(stanzas) != 1:
        raise InvalidPackage("stanza", "there has to be exactly one")
    return _parse(stanzas[0])


def parse_stanzas(data: bytes, limit: int = 1_000_000) -> Iterator[Stanza]:
    """The stanzas of a text, one after the other.

    :raises InvalidPackage: if one isn't well-formed, or if there are more than `limit`.
    """
    for count, text in enumerate(_split(_decode(data), limit + 1)):
        if count == limit:
            raise InvalidPackage("stanza", f"there are more than {limit}")
        yield _parse(text)


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidPackage("stanza", f"byte {error.start} is not UTF-8") from error
    found = _CONTROLS.search(text)
    if found:
        raise InvalidPackage("stanza", f"it contains the control character U+{ord(found[0]):04X}")
    return text


def _split(text: str, limit: int) -> Iterator[str]:
    start = 0
    for end in _ENDS.finditer(text):
        if limit == 0:
            return
        yield text[start : end.start()]
        limit -= 1
        start = end.end()
    if start < len(text) and limit:
        yield text[start:].removesuffix("\n")


def _parse(text: str) -> Stanza:
    fields: dict[str, tuple[str, str]] = {}
    name, lines = "", [""]
    for line in text.split("\n"):
        if line[:1] in (" ", "\t") and name:
            _check_further(name, line)
            lines.append(line)
            continue
        _keep(fields, name, lines)
        name, colon, value = line.partition(":")
        if not colon or not _NAME.fullmatch(name):
            raise InvalidPackage(line, "neither a field nor a further line of one")
        lines = [value]
    _keep(fields, name, lines)
    return Stanza(fields)


def _check_further(name: str, line: str) -> None:
    text = line.strip(_SPACES)
    if not text:
        raise InvalidPackage(name, "a field with a blank line in its value")
    # That is how a blank line is written, but with a space: some take this one for text.
    if text == "." and "\t" in line:
        raise InvalidPackage(name, "a field with a dot behind a tab in its value")


def _keep(fields: dict[str, tuple[str, str]], name: str, lines: list[str]) -> None:
    if not name:
        return
    if name.lower() in fields:
        raise InvalidPackage(name, "a field that is there twice")
    if len(fields) == MAX_FIELDS:
        raise InvalidPackage("stanza", f"it has more than {MAX_FIELDS} fields")
    fields[name.lower()] = (name, "\n".join(lines).rstrip(_SPACES))
