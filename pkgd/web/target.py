"""The target of a request: its path and query, parsed from the raw bytes and decoded exactly once.

What a file system or another parser might take for something else is refused, not cleaned up:
dot segments, empty segments, `\\`, an encoded slash or NUL, control characters, invalid UTF-8.
"""

from __future__ import annotations

import re

from pkgd.errors import InvalidRequest, MalformedHttp

__all__ = ["Query", "parse_path", "parse_query"]

MAX_PARAMETERS = 256

_PLAIN = re.compile(rb"[A-Za-z0-9\-._~!$&'()*+,;=:@/]*")
_ENCODED = re.compile(rb"%([0-9A-Fa-f]{2})")
_UNSAFE = re.compile(r"[\x00-\x20\x7f\\/]")


def parse_path(path: bytes) -> list[str]:
    """The path's segments behind the leading slash; a trailing slash gives a last empty one.

    :raises MalformedHttp: if it is not a plain, unambiguous path.
    """
    if not path.startswith(b"/"):
        raise MalformedHttp(400, "malformed request target")
    pieces = path[1:].split(b"/")
    segments = [_decode(piece) for piece in pieces] if b"%" in path else _plain(path).split("/")[1:]
    if "" in segments[:-1] or "." in segments or ".." in segments:
        raise MalformedHttp(400, "the path has an empty or a dot segment")
    return segments


def _plain(path: bytes) -> str:
    if not _PLAIN.fullmatch(path):
        raise MalformedHttp(400, "the path has a character that must be encoded")
    return path.decode("ascii")


def _decode(piece: bytes) -> str:
    """One percent-encoded segment, or one parameter's name or value."""
    if not _PLAIN.fullmatch(_ENCODED.sub(b"", piece)):
        raise MalformedHttp(400, "malformed percent-encoding, or a character that must be encoded")
    try:
        text = _ENCODED.sub(lambda match: bytes([int(match[1], 16)]), piece).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedHttp(400, "the target is not UTF-8") from None
    if _UNSAFE.search(text):
        raise MalformedHttp(400, "the target encodes a character that it may not have")
    return text


class Query:
    """The parameters behind the `?`, split at `&` only; `+` stands for itself, as in RFC 3986."""

    def __init__(self, parameters: dict[str, list[str]]) -> None:
        self._parameters = parameters

    def one(self, name: str) -> str | None:
        """A parameter that may be given once.

        :raises InvalidRequest: if it is given more often: two readers could choose differently.
        """
        values = self._parameters.get(name)
        if values is None:
            return None
        if len(values) > 1:
            raise InvalidRequest(name, "the parameter is given more than once")
        return values[0]

    def all(self, name: str) -> list[str]:
        """Every value of a parameter, in order."""
        return self._parameters.get(name, [])

    def number(self, name: str) -> int | None:
        """A parameter that is a non-negative number.

        :raises InvalidRequest: if it is anything else.
        """
        value = self.one(name)
        if value is None:
            return None
        if not value.isascii() or not value.isdigit() or len(value) > 18:
            raise InvalidRequest(name, "the parameter must be a number")
        return int(value)


_EMPTY = Query({})


def parse_query(query: bytes) -> Query:
    """Read what stands behind the `?`.

    :raises MalformedHttp: if a parameter cannot be decoded, or there are too many.
    """
    if not query:
        return _EMPTY
    parameters: dict[str, list[str]] = {}
    pieces = query.split(b"&")
    if len(pieces) > MAX_PARAMETERS:
        raise MalformedHttp(400, "too many parameters")
    for piece in filter(None, pieces):
        name, _, value = piece.partition(b"=")
        parameters.setdefault(_parameter(name), []).append(_parameter(value))
    return Query(parameters)


def _parameter(piece: bytes) -> str:
    """A parameter's name or value: where `/` and `?` may stand as they are."""
    return "/".join(_decode(part) for part in _slashes(piece).split(b"/"))


def _slashes(piece: bytes) -> bytes:
    """Encoded slashes are the same as plain ones in a query: `from=a%2Fb`."""
    return piece.replace(b"%2F", b"/").replace(b"%2f", b"/").replace(b"?", b"%3F")
