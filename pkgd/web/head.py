"""The head of an HTTP/1.1 request: bytes in, a checked `Head` or a refusal out (RFC 9112).

Sans-IO and strict. What other parsers accept in different ways, and so let smuggle, is refused:
obsolete folding, bare CR or LF, white space before a colon, more than one of a header that must be
single, any Transfer-Encoding but one `chunked`, a Host that is none.
"""

from __future__ import annotations

import re
from functools import lru_cache

from attrs import frozen

from pkgd.errors import MalformedHttp

__all__ = ["MAX_HEADERS", "MAX_TARGET", "METHODS", "Head", "find_head", "parse_head"]

MAX_TARGET = 8192
MAX_HEADERS = 100
MAX_NAME = 256
# A name of 255 bytes, a colon and a port.
MAX_HOST = 255 + 6
METHODS = frozenset([b"GET", b"HEAD", b"POST", b"PUT", b"PATCH", b"DELETE", b"OPTIONS"])

_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_VERSION = re.compile(rb"HTTP/[0-9]\.[0-9]")
_CONTROLS = bytes(set(range(0x20)) - {0x09, 0x0A, 0x0D}) + b"\x7f"
_SINGLE = frozenset(
    b"authorization content-length content-range content-type expect host if-modified-since if-none-match "
    b"if-range if-unmodified-since range referer transfer-encoding user-agent x-registry-host".split()
) - {b"if-none-match"}
_LABEL = rb"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_IPV6 = rb"\[[0-9A-Fa-f]{0,4}:[0-9A-Fa-f:.]{1,44}\]"
_HOST = re.compile(rb"(?:" + _LABEL + rb"(?:\." + _LABEL + rb")*\.?|" + _IPV6 + rb")(?::[0-9]{1,5})?")


@frozen
class Head:
    """A request line and its headers.

    `target` is the origin form, or `*`; `length` is the body's length in bytes, None if chunked.
    Header names are lower case; a repeated list header is joined with `, `.
    """

    method: bytes
    target: bytes
    version: bytes
    headers: dict[bytes, bytes]
    length: int | None
    persistent: bool
    line: bytes

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body (RFC 9110, 10.1.1)."""
        return self.headers.get(b"expect", b"").lower() == b"100-continue" and self.version == b"HTTP/1.1"


def find_head(data: bytes | bytearray, limit: int) -> int:
    """The offset behind the head's final empty line, or -1 if it is not complete yet.

    :raises MalformedHttp: if no head may be that long (431), or no request line (414).
    """
    end = data.find(b"\r\n\r\n")
    size = end + 4 if end >= 0 else len(data)
    if size > limit:
        raise MalformedHttp(431, f"the request's headers exceed {limit} bytes")
    if end < 0:
        line = data.find(b"\n", 0, MAX_TARGET + 64)
        if line < 0 and len(data) > MAX_TARGET + 64:
            raise MalformedHttp(414, f"the request's target exceeds {MAX_TARGET} bytes")
        if b"\n" in data and b"\r\n" not in data:
            raise MalformedHttp(400, "bare LF in the request's head")
        return -1
    return size


def parse_head(data: bytes) -> Head:
    """Read a whole head, up to and including the empty line.

    :raises MalformedHttp: with the status that fits.
    """
    if data.translate(None, _CONTROLS) != data:
        raise MalformedHttp(400, "control character in the request's head")
    lines = data[:-4].split(b"\r\n")
    if data.count(b"\r") != len(lines) + 1 or data.count(b"\n") != len(lines) + 1:
        raise MalformedHttp(400, "bare CR or LF in the request's head")
    method, target, version = _parse_line(lines[0])
    if len(lines) > MAX_HEADERS + 1:
        raise MalformedHttp(431, f"more than {MAX_HEADERS} headers")
    headers = _parse_headers(lines)
    if version == b"HTTP/1.1" or b"host" in headers:
        _check_host(headers.get(b"host", b""))
    target = _origin_form(target, method, headers)
    return Head(method, target, version, headers, _length(headers, version), _persistent(headers, version), lines[0])


def _parse_line(line: bytes) -> tuple[bytes, bytes, bytes]:
    """Method, target and version of a request line."""
    parts = line.split(b" ")
    if len(parts) != 3:
        raise MalformedHttp(400, "malformed request line")
    method, target, version = parts
    if not _TOKEN.fullmatch(method) or not target:
        raise MalformedHttp(400, "malformed request line")
    if len(target) > MAX_TARGET:
        raise MalformedHttp(414, f"the request's target exceeds {MAX_TARGET} bytes")
    if version not in (b"HTTP/1.1", b"HTTP/1.0"):
        raise MalformedHttp(400, "only HTTP/1.1 is spoken here" if _VERSION.fullmatch(version) else "malformed version")
    if method not in METHODS:
        raise MalformedHttp(405, "unknown method")
    return method, target, version


def _parse_headers(lines: list[bytes]) -> dict[bytes, bytes]:
    """The header lines as a mapping."""
    headers: dict[bytes, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        name = _header_name(name) if colon and len(name) <= MAX_NAME else b""
        if not name:
            # Also obsolete folding, where the line begins with white space.
            raise MalformedHttp(400, "malformed header")
        value = value.strip(b" \t")
        if name in headers:
            if name in _SINGLE:
                raise MalformedHttp(400, f"more than one {name.decode('ascii')} header")
            value = headers[name] + b", " + value
        headers[name] = value
    return headers


@lru_cache(512)
def _header_name(name: bytes) -> bytes:
    """The name in lower case, or empty if it is none; remembered, for clients use few."""
    return name.lower() if _TOKEN.fullmatch(name) else b""


def _origin_form(target: bytes, method: bytes, headers: dict[bytes, bytes]) -> bytes:
    """Turn the absolute form, which a server must accept, into the origin form (RFC 9112, 3.2.2)."""
    if target.startswith(b"/") or (target == b"*" and method == b"OPTIONS"):
        return target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in (b"http", b"https"):
        raise MalformedHttp(400, "malformed request target")
    authority, slash, path = rest.partition(b"/")
    if not slash:
        authority, mark, query = rest.partition(b"?")
        path = mark + query
    _check_host(authority)
    headers[b"host"] = authority
    return b"/" + path


def _length(headers: dict[bytes, bytes], version: bytes) -> int | None:
    """How long the body is (RFC 9112, 6.3): a number, or None for chunked."""
    coding = headers.get(b"transfer-encoding")
    length = headers.get(b"content-length")
    if coding is not None:
        if length is not None or version != b"HTTP/1.1" or coding.lower() != b"chunked":
            raise MalformedHttp(400, "a body is framed by one Content-Length or by Transfer-Encoding: chunked")
        return None
    if length is None:
        return 0
    if not length.isdigit() or len(length) > 19:
        raise MalformedHttp(400, "malformed Content-Length")
    return int(length)


def _persistent(headers: dict[bytes, bytes], version: bytes) -> bool:
    """Whether the connection may carry another request (RFC 9112, 9.3)."""
    if version != b"HTTP/1.1":
        return False
    connection = headers.get(b"connection")
    return connection is None or b"close" not in [token.strip() for token in connection.lower().split(b",")]


def _check_host(value: bytes) -> None:
    """Refuse a Host that names no host (RFC 9112, 3.2)."""
    if len(value) > MAX_HOST or not _valid_host(value):
        raise MalformedHttp(400, "missing or malformed Host")


@lru_cache(256)
def _valid_host(value: bytes) -> bool:
    """The grammar, remembered: nearly every request names the same host."""
    return _HOST.fullmatch(value) is not None
