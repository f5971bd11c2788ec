"""The part of Kubernetes' Container Runtime Interface that pulls images, spoken to containerd's socket.

CRI is gRPC: here one HTTP/2 stream per call, with headers sent as literals and the received ones not decoded.
So the answer's message is known, and whether there is one; the reason of a refusal stands in containerd's log.
"""

from __future__ import annotations

import socket
import struct
from pathlib import Path

_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
_DATA, _HEADERS, _RESET, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _END_HEADERS = 1, 1, 4


class CallRefused(Exception):
    """The runtime answered a call without a message: it did not do it."""


class ImageService:
    """runtime.v1.ImageService behind a Unix socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def pull(self, name: str, user: str = "", password: str = "") -> str:
        """Pull an image by its full name and return its id; with what a pull secret says, if anything."""
        secret = _field(1, user.encode()) + _field(2, password.encode())
        auth = _field(2, secret) if user else b""
        return _first_field(self._call("PullImage", _field(1, _image_spec(name)) + auth)).decode()

    def remove(self, name: str) -> None:
        """Remove an image."""
        self._call("RemoveImage", _field(1, _image_spec(name)))

    def _call(self, method: str, message: bytes) -> bytes:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(120)
            connection.connect(str(self._path))
            head = _literals(
                (":method", "POST"),
                (":scheme", "http"),
                (":path", f"/runtime.v1.ImageService/{method}"),
                (":authority", "localhost"),
                ("content-type", "application/grpc"),
                ("te", "trailers"),
            )
            body = struct.pack(">BI", 0, len(message)) + message
            connection.sendall(_PREFACE + _frame(_SETTINGS, 0, 0, b""))
            connection.sendall(_frame(_HEADERS, _END_HEADERS, 1, head) + _frame(_DATA, _END_STREAM, 1, body))
            answer = _answer(connection)
        if not answer:
            raise CallRefused(method)
        return answer[5:]


def _answer(connection: socket.socket) -> bytes:
    """All DATA of the stream, up to its end."""
    data = b""
    while True:
        kind, flags, payload = _read_frame(connection)
        if kind == _SETTINGS and not flags & _ACK:
            connection.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            connection.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind in (_RESET, _GOAWAY):
            return b""
        elif kind == _DATA:
            data += payload
        if kind in (_DATA, _HEADERS) and flags & _END_STREAM:
            return data


def _read_frame(connection: socket.socket) -> tuple[int, int, bytes]:
    head = connection.recv(9, socket.MSG_WAITALL)
    if len(head) < 9:
        return _GOAWAY, 0, b""
    high, low, kind, flags, _ = struct.unpack(">BHBBI", head)
    length = high << 16 | low
    return kind, flags, connection.recv(length, socket.MSG_WAITALL) if length else b""


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">BHBBI", len(payload) >> 16, len(payload) & 0xFFFF, kind, flags, stream) + payload


def _literals(*headers: tuple[str, str]) -> bytes:
    """Headers for HPACK: each a literal without indexing, name and value in plain text shorter than 127 bytes."""
    texts = (text.encode() for header in headers for text in header)
    plain = [bytes([len(text)]) + text for text in texts]
    return b"".join(b"\0" + name + value for name, value in zip(plain[::2], plain[1::2], strict=True))


def _image_spec(name: str) -> bytes:
    return _field(1, name.encode())


def _field(number: int, value: bytes) -> bytes:
    """A length-delimited protobuf field."""
    length = len(value)
    encoded = bytes([length]) if length < 128 else bytes([length & 127 | 128, length >> 7])
    return bytes([number << 3 | 2]) + encoded + value


def _first_field(message: bytes) -> bytes:
    """The value of the one field of a short message."""
    return message[2 : 2 + message[1]]
