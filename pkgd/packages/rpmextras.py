"""Documents that stand beside the packages of an rpm repository, and are published as they were uploaded."""

from __future__ import annotations

import zlib
from xml.parsers import expat  # no entity that a document declares is ever expanded: declaring one is refused

from pkgd.errors import InvalidPackage, TooLarge

__all__ = ["EXTRAS", "MAX_EXTRA", "read_extra"]

# The type in repomd -> the name that the file ends with.
EXTRAS = {"group": "comps.xml", "modules": "modules.yaml", "updateinfo": "updateinfo.xml"}
MAX_EXTRA = 64 * 1024 * 1024

_ROOTS = {"group": "comps", "updateinfo": "updates"}
_GZIP = b"\x1f\x8b"


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
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_xml(kind: str, text: bytes) -> None:
    """Whether it is well-formed, with the root that it should have."""
    roots: list[str] = []

    def start(name: str, attributes: object) -> None:
        if not roots:
            roots.append(name)

    def refuse(*arguments: object) -> None:
        raise InvalidPackage(kind, "it declares entities")

    parser = expat.ParserCreate()
    parser.StartElementHandler = start
    parser.EntityDeclHandler = refuse
    try:
        parser.Parse(text, True)
    except expat.ExpatError as error:
        raise InvalidPackage(kind, f"not XML: {error}") from error
    if roots != [_ROOTS[kind]]:
        raise InvalidPackage(kind, f"its root is {roots[0]} and not {_ROOTS[kind]}")
