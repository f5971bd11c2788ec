"""The head of an answer (RFC 9112, 4 and 5), checked before the client protocol sees it.

The protocol's own parser has no limit on heads and answers to come, and reads some malformed ones in its
own way. So a head is collected here until it is whole, bounded in bytes and lines, and refused when
two readers could disagree about where the body ends. Interim answers (1xx) end here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pkgd.errors import UpstreamCorrupt

__all__ = ["ResponseHead"]

MAX_LINES = 256
# What the protocol's parser takes for a line is slightly more.
MAX_LINE = 16_000
MAX_INTERIM = 16

_END = re.compile(rb"\n\r?\n")
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [\t\x20-\x7e\x80-\xff]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)")
_LENGTH = re.compile(rb"[0-9]{1,18}")


class ResponseHead:
    """Collects the head of one answer.

    :param host: whom to blame.
    :param limit: how many bytes it may have, with all interim answers.
    """

    def __init__(self, host: str, limit: int) -> None:
        self._host = host
        self._left = limit
        self._interim = 0
        self._data = bytearray()

    def feed(self, data: bytes) -> bytes | None:
        """Take bytes from the connection; the final head and what follows it once it is whole, else None.

        :raises UpstreamCorrupt: if it is too large, or malformed.
        """
        searched = max(0, len(self._data) - 2)
        self._data += data
        while found := _END.search(self._data, searched):
            end, searched = found.end(), 0
            if end > self._left:
                break
            if not self._is_interim(bytes(self._data[:end])):
                return bytes(self._data)
            self._left -= end
            del self._data[:end]
        if len(self._data) > self._left:
            raise self._corrupt("sends a response head that is too large")
        return None

    def _is_interim(self, head: bytes) -> bool:
        """Check a head; whether another one follows."""
        status, *fields = [line.removesuffix(b"\r") for line in head.split(b"\n")[:-2]]
        matched = _STATUS.fullmatch(status)
        if matched is None:
            raise self._corrupt("does not answer in HTTP/1.1")
        if len(fields) > MAX_LINES or max(map(len, [status, *fields])) > MAX_LINE:
            raise self._corrupt("sends a response head that is too large")
        self._check_framing(matched[1] == b"1", list(self._fields(fields)))
        if not matched[2].startswith(b"1"):
            return False
        self._interim += 1
        if matched[2] == b"101" or self._interim > MAX_INTERIM:
            raise self._corrupt("does not come to an answer")
        return True

    def _fields(self, lines: list[bytes]) -> Iterator[tuple[bytes, bytes]]:
        """Name and value of each field; names in lower case."""
        for line in lines:
            matched = _FIELD.fullmatch(line)
            if matched is None:
                raise self._corrupt("sends a malformed response head")
            yield matched[1].lower(), matched[2].rstrip(b" \t")

    def _check_framing(self, modern: bool, fields: list[tuple[bytes, bytes]]) -> None:
        """There is one answer to where the body ends (RFC 9112, 6.3)."""
        lengths = {value for name, value in fields if name == b"content-length"}
        codings = [value.lower() for name, value in fields if name == b"transfer-encoding"]
        plain = len(lengths) <= 1 and all(_LENGTH.fullmatch(value) for value in lengths)
        if not plain or (codings and (codings != [b"chunked"] or lengths or not modern)):
            raise self._corrupt("sends a malformed response head")

    def _corrupt(self, reason: str) -> UpstreamCorrupt:
        return UpstreamCorrupt(self._host, reason)
