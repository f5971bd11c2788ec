"""How answers are written: the only callers of `Request.send`, `write_body` and `finish`.

Stored content goes out as it is: never compressed, always with its exact length
(distribution-spec; containerd would decode a Content-Encoding).
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
from attrs import frozen
from twisted.web.http import datetimeToString, stringToDatetime

from pkgd.blocking import Blocking
from pkgd.errors import ClientGone, FailedStorage
from pkgd.formats.byterange import ByteRange, parse_ranges
from pkgd.storage.interfaces import Reader

if TYPE_CHECKING:
    from pkgd.web.request import Request

__all__ = [
    "PIECE",
    "Entity",
    "header_block",
    "not_modified",
    "send_blob_head",
    "send_body",
    "send_empty",
    "send_entity",
    "send_head",
    "send_json",
    "send_reader",
    "send_stored",
    "send_text",
    "send_whole",
]

# What is written at once where sendfile is not to be had. Smaller pieces cost TLS a fifth of its speed.
PIECE = 256 * 1024
# Stored bytes may be HTML; no browser is to run them.
_INERT = b"Content-Security-Policy: default-src 'none'; sandbox\r\n"


def header_block(**headers: str) -> bytes:
    """Header lines from keyword arguments; `_` stands for `-`.

    Values come from checked names and digests; the encoding refuses what is not ASCII.
    """
    lines = [f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items()]
    return "".join(lines).encode("ascii")


def send_empty(request: Request, status: int, headers: bytes = b"") -> None:
    """An answer without a body."""
    request.send(status, headers)
    request.finish()


def send_body(request: Request, status: int, media_type: bytes, body: bytes, headers: bytes = b"") -> None:
    """A small body, whole."""
    request.send(status, b"Content-Type: %b\r\n%b" % (media_type, headers), body)
    request.finish()


def send_json(request: Request, status: int, value: Any, headers: bytes = b"") -> None:
    """A JSON document."""
    send_body(request, status, b"application/json", msgspec.json.encode(value), headers)


def send_text(request: Request, status: int, text: str, headers: bytes = b"") -> None:
    """A few lines for people and scripts."""
    send_body(request, status, b"text/plain; charset=utf-8", text.encode("utf-8"), headers)


def send_whole(request: Request, headers: bytes, body: bytes) -> None:
    """A stored document of at most `PIECE` bytes; `headers` is the whole block, made once per document."""
    request.send(200, headers, body)
    request.finish()


async def send_stored(request: Request, headers: bytes, body: bytes) -> None:
    """A stored document that is in memory, at the client's pace if it is large.

    `headers` is the whole block, made once per document.
    """
    if len(body) <= PIECE or request.method == b"HEAD":
        send_whole(request, headers, body)
        return
    request.send(200, headers, b"", len(body))
    for start in range(0, len(body), PIECE):
        await request.drained()
        request.write_body(body[start : start + PIECE])
    request.finish()


@frozen
class Entity:
    """What a reader's bytes are, for whoever has them already (RFC 9110, 8.8 and 13).

    :param headers: further header lines.
    :param modified: when it was last modified, in seconds since 1970; None for content without a date.
    :param dates_tell: whether no other content has ever had that date; else no condition with a date is met.
    :param is_fixed: whether no other content was ever here, or will be.
    """

    media_type: str
    etag: str
    headers: bytes = b""
    modified: int | None = None
    dates_tell: bool = False
    is_fixed: bool = False

    def common(self) -> bytes:
        """The header lines of every answer, a 304 too."""
        dated = b"" if self.modified is None else header_block(Last_Modified=_http_date(self.modified))
        return self.headers + header_block(ETag=self.etag, Accept_Ranges="bytes") + dated + _INERT

    def is_dated(self, date: str | None) -> bool:
        """Whether a date of the client's stands for this content and no other."""
        if self.modified is None or not (self.dates_tell or self.is_fixed):
            return False
        return date == _http_date(self.modified)

    def is_since(self, date: str | None) -> bool:
        """Whether a client that had what was here at some time has this content.

        Where contents follow each other, only a date that was ours says so: the client's own may be later than
        the content that it has, and a publish in between would be hidden.
        """
        if self.is_fixed and self.modified is not None and date is not None:
            with suppress(ValueError, IndexError, OverflowError):
                given: int = stringToDatetime(date.encode("ascii", "replace"))
                return given >= self.modified
        return self.is_dated(date)

    def is_known(self, request: Request) -> bool:
        """Whether the client's copy is this one; If-None-Match counts before If-Modified-Since."""
        if request.header(b"if-none-match") is not None:
            return not_modified(request, self.etag)
        return self.is_since(request.header(b"if-modified-since"))


def _http_date(seconds: int) -> str:
    return str(datetimeToString(seconds), "ascii")


def not_modified(request: Request, etag: str) -> bool:
    """Whether the client's copy, named in If-None-Match, is the present one (RFC 9110, 13.1.2)."""
    header = request.header(b"if-none-match")
    if header is None:
        return False
    given = [one.strip().removeprefix("W/") for one in header.split(",")]
    return "*" in given or etag in given


def send_head(request: Request, headers: bytes, length: int) -> None:
    """The answer to a HEAD whose body isn't at hand."""
    request.send(200, headers, b"", length)
    request.finish()


def send_blob_head(request: Request, media_type: str, digest: str, size: int, headers: bytes = b"") -> None:
    """What `send_reader` would answer to a HEAD, of content that isn't at hand."""
    common = _content_headers(digest) + headers
    if not_modified(request, f'"{digest}"'):
        send_empty(request, 304, common)
    else:
        send_head(request, common + header_block(Content_Type=media_type), size)


async def send_reader(
    request: Request, blocking: Blocking, reader: Reader, media_type: str, digest: str, headers: bytes = b""
) -> None:
    """Send content by its reader, as `send_entity` does; the ETag is the quoted digest.

    :param headers: further header lines.
    """
    headers = header_block(Docker_Content_Digest=digest) + headers
    await send_entity(request, blocking, reader, Entity(media_type, f'"{digest}"', headers))


async def send_entity(request: Request, blocking: Blocking, reader: Reader, entity: Entity) -> None:
    """Send content by its reader, or the ranges of it that the client asks for; closes it.

    Ranges and conditions as in RFC 9110, 13 and 14.

    :raises UnsatisfiableRange: if no asked byte exists.
    :raises ClientGone: if the client leaves before the end.
    """
    try:
        common = entity.common()
        if entity.is_known(request):
            send_empty(request, 304, common)
            return
        ranges = _asked_ranges(request, entity, reader.size)
        kind = header_block(Content_Type=entity.media_type)
        if ranges is None:
            request.send(200, common + kind, length=reader.size)
            await _send_part(request, blocking, reader, ByteRange(0, reader.size))
        elif len(ranges) == 1:
            span = ranges[0]
            request.send(206, common + kind + _content_range(span, reader.size), length=span.size)
            await _send_part(request, blocking, reader, span)
        else:
            await _send_multipart(request, blocking, reader, ranges, common, entity.media_type)
        request.finish()
    finally:
        reader.close()


def _content_headers(digest: str) -> bytes:
    return header_block(Docker_Content_Digest=digest, ETag=f'"{digest}"', Accept_Ranges="bytes") + _INERT


def _asked_ranges(request: Request, entity: Entity, size: int) -> list[ByteRange] | None:
    header = request.header(b"range")
    if header is None or request.method != b"GET":
        return None
    condition = request.header(b"if-range")
    if condition is not None and condition != entity.etag and not entity.is_dated(condition):
        return None
    return parse_ranges(header, size)


def _content_range(span: ByteRange, size: int) -> bytes:
    return b"Content-Range: bytes %d-%d/%d\r\n" % (span.start, span.end - 1, size)


async def _send_multipart(
    request: Request, blocking: Blocking, reader: Reader, ranges: Sequence[ByteRange], headers: bytes, media_type: str
) -> None:
    """Several ranges as `multipart/byteranges` (RFC 9110, 14.6)."""
    boundary = secrets.token_hex(16).encode("ascii")
    kind = header_block(Content_Type=media_type)
    opening = [b"--%b\r\n%b%b\r\n" % (boundary, kind, _content_range(span, reader.size)) for span in ranges]
    closing = b"--%b--\r\n" % boundary
    length = sum(len(one) + span.size + 2 for one, span in zip(opening, ranges, strict=True)) + len(closing)
    request.send(206, headers + b"Content-Type: multipart/byteranges; boundary=%b\r\n" % boundary, length=length)
    for one, span in zip(opening, ranges, strict=True):
        request.write_body(one)
        await _send_part(request, blocking, reader, span)
        request.write_body(b"\r\n")
    request.write_body(closing)


async def _send_part(request: Request, blocking: Blocking, reader: Reader, span: ByteRange) -> None:
    """Send the bytes of one range, as they become available."""
    if request.method == b"HEAD":
        return
    offset = span.start
    while offset < span.end:
        request.suspend_deadline()
        end = min(await reader.available(offset), span.end)
        request.resume_deadline()
        await _send_available(request, blocking, reader, ByteRange(offset, end))
        offset = end


async def _send_available(request: Request, blocking: Blocking, reader: Reader, span: ByteRange) -> None:
    """Send bytes that are there: by sendfile where the reader and the connection can."""
    fd = reader.fileno()
    if fd is not None and span.size > PIECE // 4 and await request.send_file(fd, span.start, span.size):
        return
    offset = span.start
    while offset < span.end:
        await request.drained()
        piece = await blocking.disk(reader.read_at, offset, min(PIECE, span.end - offset))
        if request.gone:
            raise ClientGone()
        if not piece:
            raise FailedStorage("read: the file is shorter than it was")
        request.write_body(piece)
        offset += len(piece)
