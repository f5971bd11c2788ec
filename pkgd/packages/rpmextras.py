"""Documents that stand beside the packages of an rpm repository, and are published as they were uploaded."""

from __future__ import annotations

import codecs
import zlib
from xml.parsers import expat  # no entity that a document declares is ever expanded: declaring one is refused

from pkgd.errors import InvalidPackage, TooLarge

__all__ = ["EXTRAS", "MAX_EXTRA", "read_extra"]

# The type in repomd -> the name that the file ends with.
EXTRAS = {"group": "comps.xml", "modules": "modules.yaml", "updateinfo": "updateinfo.xml"}
MAX_EXTRA = 64 * 1024 * 1024

_ROOTS = {"group": "comps", "updateinfo": "updates"}
_GZIP = b"\x1f\x8b"
# So much is looked at in one go: meanwhile no other thread, the reactor's among them, gets the interpreter's lock.
_PIECE = 256 * 1024
_MOST_DEPTH = 64


def read_extra(kind: str, data: bytes) -> bytes:
    """The text of a document, which may be compressed with gzip.

    :raises InvalidPackage: if it isn't such a document, as far as a repository has to know.
    :raises TooLarge: if its text has more than `MAX_EXTRA` bytes.
    """
    text = _expand(data) if data.startswith(_GZIP) else data
    if len(text) > MAX_EXTRA:
        raise TooLarge(MAX_EXTRA)
    if kind in _ROOTS:
        _check_xml(kind, text)
    elif b"document: modulemd" not in text or not _is_utf8(text):
        raise InvalidPackage(kind, "it has no document of modulemd")
    return text


def _expand(data: bytes) -> bytes:
    expander = zlib.decompressobj(wbits=31)
    try:
        text = expander.decompress(data, MAX_EXTRA + 1)
    except zlib.error as error:
        raise InvalidPackage("gzip", str(error)) from error
    if len(text) <= MAX_EXTRA and (not expander.eof or expander.unused_data):
        raise InvalidPackage("gzip", "it is cut short, or something follows it")
    return text


def _is_utf8(text: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(text), _PIECE):
            decoder.decode(text[start : start + _PIECE])
        decoder.decode(b"", True)
    except UnicodeDecodeError:
        return False
    return True


class _Outline:
    """What an XML document must not be, and the name of its root."""

    def __init__(self, kind: str) -> None:
        self.root = ""
        self._kind = kind
        self._depth = 0

    def start(self, name: str, attributes: object) -> None:
        """An element begins."""
        self.root = self.root or name
        self._depth += 1
        if self._depth > _MOST_DEPTH:
            raise InvalidPackage(self._kind, f"its elements are nested more than {_MOST_DEPTH} deep")

    def end(self, name: str) -> None:
        """An element ends."""
        self._depth -= 1

    def refuse(self, *arguments: object) -> None:
        """An entity is declared."""
        raise InvalidPackage(self._kind, "it declares entities")


def _check_xml(kind: str, text: bytes) -> None:
    """Whether it is well-formed, with the root that it should have."""
    outline, parser = _Outline(kind), expat.ParserCreate()
    parser.StartElementHandler, parser.EndElementHandler = outline.start, outline.end
    parser.EntityDeclHandler = outline.refuse
    try:
        for start in range(0, len(text), _PIECE):
            parser.Parse(text[start : start + _PIECE], False)
            # What is not complete is read from its beginning with each piece.
            if start + _PIECE - parser.CurrentByteIndex > 2 * _PIECE:
                raise InvalidPackage(kind, f"it has a tag, or a comment, of more than {_PIECE} bytes")
        parser.Parse(b"", True)
    except (expat.ExpatError, LookupError, ValueError) as error:  # the latter two are about its encoding
        raise InvalidPackage(kind, f"not XML: {error}") from error
    if outline.root != _ROOTS[kind]:
        raise InvalidPackage(kind, f"its root is {outline.root} and not {_ROOTS[kind]}")
