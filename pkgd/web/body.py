"""The framing of a request's body (RFC 9112, 6 and 7.1), decoded in place.

Payload is never copied into new objects: a decoder looks at the bytes just received in a buffer,
moves the payload to the front of them, and says how much there is.
"""

from __future__ import annotations

import re
from typing import Protocol

from pkgd.errors import MalformedHttp

__all__ = ["ChunkedDecoder", "Decoder", "LengthDecoder", "decoder_for"]

MAX_CHUNK_LINE = 1024
MAX_TRAILERS = 16384
_FRAME = re.compile(rb"\r\n([0-9a-fA-F]{1,16})\r\n")
_HEX = frozenset(b"0123456789abcdefABCDEF")


class Decoder(Protocol):
    """One body's framing."""

    done: bool
    rest: bytes

    def decode(self, view: memoryview) -> int:
        """Take the bytes of `view`, leave their payload at its front, return its length.

        Once the body has ended, `done` is true and `rest` has what came behind it.

        :raises MalformedHttp: if the framing is broken.
        """


def decoder_for(length: int | None) -> Decoder:
    """The decoder for a body of `length` bytes, None meaning chunked."""
    return ChunkedDecoder() if length is None else LengthDecoder(length)


class LengthDecoder:
    """A body of known length."""

    def __init__(self, length: int) -> None:
        self._left = length
        self.done = length == 0
        self.rest = b""

    def decode(self, view: memoryview) -> int:
        """See `Decoder.decode`."""
        payload = min(len(view), self._left)
        self._left -= payload
        if not self._left:
            self.done = True
            self.rest = bytes(view[payload:])
        return payload


class ChunkedDecoder:
    """A chunked body. Extensions and trailers are bounded and ignored."""

    def __init__(self) -> None:
        self.done = False
        self.rest = b""
        self._left = 0
        self._line = bytearray()
        self._trailers = 0
        self._between = False
        self._expect = self._size_line

    def decode(self, view: memoryview) -> int:
        """See `Decoder.decode`."""
        size, position, payload = len(view), 0, 0
        while position < size and not self.done:
            if self._left:
                count = min(self._left, size - position)
                if position != payload:
                    view[payload : payload + count] = view[position : position + count]
                payload += count
                position += count
                self._left -= count
                if not self._left:
                    self._expect, self._between = self._chunk_end, True
            else:
                position = self._take_frame(view, position) or self._take_line(view, position)
        if self.done:
            self.rest = bytes(view[position:])
        return payload

    def _take_frame(self, view: memoryview, position: int) -> int:
        """The usual case, quickly: the end of one chunk and the whole size line of the next; 0 for any other."""
        if self._between and not self._line:
            match = _FRAME.match(view, position)
            if match is not None:
                self._left = int(match[1], 16)
                if self._left:
                    return match.end()
        self._between = False
        return 0

    def _take_line(self, view: memoryview, position: int) -> int:
        """Collect one CRLF-ended line that may have come in pieces; act on it once whole."""
        window = bytes(view[position : position + MAX_CHUNK_LINE + 2])
        end = window.find(b"\n")
        piece = window if end < 0 else window[: end + 1]
        self._line += piece
        if len(self._line) > MAX_CHUNK_LINE + 2:
            raise MalformedHttp(400, "chunk line too long")
        if end >= 0:
            line = bytes(self._line)
            self._line.clear()
            if not line.endswith(b"\r\n") or b"\r" in line[:-2]:
                raise MalformedHttp(400, "bare CR or LF in the chunked framing")
            self._expect(line[:-2])
        return position + len(piece)

    def _size_line(self, line: bytes) -> None:
        digits, _, extension = line.partition(b";")
        digits = digits.rstrip(b" \t") if extension else digits
        if not 0 < len(digits) <= 16 or not _HEX.issuperset(digits):
            raise MalformedHttp(400, "malformed chunk size")
        if extension.translate(None, bytes(range(9)) + bytes(range(10, 32)) + b"\x7f") != extension:
            raise MalformedHttp(400, "control character in a chunk extension")
        self._left = int(digits, 16)
        if not self._left:
            self._expect = self._trailer

    def _chunk_end(self, line: bytes) -> None:
        if line:
            raise MalformedHttp(400, "chunk longer than its size")
        self._expect = self._size_line

    def _trailer(self, line: bytes) -> None:
        self._trailers += len(line) + 2
        if self._trailers > MAX_TRAILERS:
            raise MalformedHttp(400, "trailers too long")
        if not line:
            self.done = True
