"""Text out of a clear-signed message (RFC 9580, 7), whose signature is not looked at.

The message has to be all there is: a parser that skipped what stands around it would read what nobody signed.
"""

from __future__ import annotations

from pkgd.errors import InvalidPackage

__all__ = ["signed_text"]

_BEGIN = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"


def signed_text(data: bytes) -> bytes:
    """The text that is signed, or the data itself if it isn't clear-signed.

    :raises InvalidPackage: if the message isn't well-formed, or if anything stands before or behind it.
    """
    if not data.startswith(_BEGIN):
        return data
    written = data.split(b"\n")
    lines = [line.rstrip(b" \t\r") for line in written]
    while not lines[-1]:
        lines.pop()
    if b"" not in lines or _SIGNATURE not in lines or lines[-1] != _END:
        raise InvalidPackage("signed message", "it is cut, or something stands behind it")
    start, end = lines.index(b"") + 1, lines.index(_SIGNATURE)
    if lines[0] != _BEGIN or not all(line.startswith(b"Hash: ") for line in lines[1 : start - 1]):
        raise InvalidPackage("signed message", "it does not begin as one")
    if end < start or lines.index(_END) != len(lines) - 1:
        raise InvalidPackage("signed message", "something stands behind it")
    return b"\n".join([*map(_unescaped, written[start:end]), b""])


def _unescaped(line: bytes) -> bytes:
    if line.startswith(b"- "):
        return line[2:]
    if line.startswith(b"-"):
        raise InvalidPackage("signed message", "a line of its text begins with a dash that is not escaped")
    return line
