"""Signatures of a package: those that it has, and the one that a repository puts there.

A signature covers the header, and through the header's digests the payload; so signing changes nothing but the
signature header. Where rpmbuild has reserved space for it, not even the place of the header changes. Packages from
before rpm 4.14, whose header has no digest of the payload, cannot be signed like that.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Sequence
from typing import NamedTuple

from attrs import frozen

from pkgd.errors import InvalidPackage
from pkgd.formats import rpmtags as tags
from pkgd.formats.rpmheader import MAGIC, Header

__all__ = ["Signature", "check_signature_tags", "read_signatures", "sign_headers"]

_ALIGNMENT = {tags.INT16: 2, tags.INT32: 4, tags.INT64: 8}
_SIGNATURES = (tags.SIG_RSA, tags.SIG_DSA, tags.SIG_OPENPGP, tags.SIG_PGP, tags.SIG_GPG, tags.SIG_PGP5)
_RESERVES = (tags.SIG_RESERVED_SPACE, tags.SIG_RESERVED)
# Public-key algorithms (RFC 9580, 9.1): rpm files RSA under one tag and everything else under the other.
_RSA = (1, 3)
_OTHERS = (17, 19, 22, 27)

# Tags of the header, and those of the signature header that mean the same.
_EITHER = (
    (tags.ARCHIVE_SIZE, tags.SIG_ARCHIVE_SIZE),
    (tags.FILE_SIGNATURES, tags.SIG_FILE_SIGNATURES),
    (tags.FILE_SIGNATURE_LENGTH, tags.SIG_FILE_SIGNATURE_LENGTH),
)


@frozen
class Signature:
    """An OpenPGP signature packet, and whether it covers only the header or, as of old, the payload, too."""

    packet: bytes
    covers_payload: bool


class _Value(NamedTuple):
    tag: int
    kind: int
    items: int
    data: bytes


def check_signature_tags(signature: Header, header: Header) -> None:
    """Check what rpm takes over from the signature header into the header.

    :raises InvalidPackage: if it is malformed, or in the header, too.
    """
    for tag, entry in signature.entries.items():
        kind, items = tags.SIGNATURE_TYPES.get(tag, (entry.kind, 0))
        if entry.kind != kind or (items and entry.items != items):
            raise InvalidPackage(signature.what, f"tag {tag} has type {entry.kind} and {entry.items} items")
    for tag in header.entries:
        if tags.SIG_FIRST <= tag <= tags.SIG_RESERVED:
            raise InvalidPackage(header.what, f"tag {tag} belongs into the signature header")
    for tag, other in _EITHER:
        if tag in header and other in signature:
            raise InvalidPackage(header.what, f"tag {tag} is in the signature header, too")


def read_signatures(signature: Header) -> tuple[Signature, ...]:
    """The signatures of a signature header, those of the newest kind first.

    :raises InvalidPackage: if one is malformed.
    """
    found = []
    for text in signature.strings(tags.SIG_OPENPGP):
        try:
            found.append(Signature(base64.b64decode(text, validate=True), covers_payload=False))
        except (binascii.Error, ValueError):
            raise InvalidPackage(signature.what, f"tag {tags.SIG_OPENPGP} is not base64") from None
    for tag in (tags.SIG_RSA, tags.SIG_DSA, tags.SIG_PGP, tags.SIG_GPG):
        if tag in signature:
            found.append(Signature(signature.binary(tag), covers_payload=tag in (tags.SIG_PGP, tags.SIG_GPG)))
    return tuple(found)


def sign_headers(lead: bytes, signature: Header, header: Header, packet: bytes) -> bytes:
    """All that comes before the header, with this signature of it in place of any that is there.

    :param packet: an OpenPGP signature packet over `header.raw`.
    :raises InvalidPackage: if it is none that rpm knows a place for, or would not be enough for rpm.
    """
    if tags.PAYLOAD_SHA256 not in header:
        reason = "it has no digest of its payload, which a signature of its header would not cover; rpm 4.14 writes one"
        raise InvalidPackage(header.what, reason)
    values = [
        _Value(tag, entry.kind, entry.items, signature.value(tag))
        for tag, entry in signature.entries.items()
        if tag not in _SIGNATURES and tag not in _RESERVES
    ]
    values.append(_Value(_tag_of(packet), tags.BINARY, len(packet), packet))
    if (header.number(tags.RPM_FORMAT) or 0) >= 6:
        # What rpm 6 reads; older ones only know the other.
        values.append(_Value(tags.SIG_OPENPGP, tags.STRING_ARRAY, 1, base64.b64encode(packet) + b"\0"))
    values.sort()
    plain = _build(values)
    reserve = next((tag for tag in _RESERVES if tag in signature), None)
    room = len(signature.raw) - len(_build([*values, _Value(reserve or 0, tags.BINARY, 0, b"")]))
    if reserve is not None and room > 0:
        plain = _build([*values, _Value(reserve, tags.BINARY, room, bytes(room))])
    return lead + plain + bytes(-len(plain) % 8)


def _build(values: Sequence[_Value]) -> bytes:
    """A signature header of these values, its region first and the region's trailer last."""
    index, data = b"", b""
    for tag, kind, count, value in values:
        data += bytes(-len(data) % _ALIGNMENT.get(kind, 1))
        index += struct.pack(">IIII", tag, kind, len(data), count)
        data += value
    entries = len(values) + 1
    region = struct.pack(">IIII", tags.REGION_SIGNATURES, tags.BINARY, len(data), 16)
    trailer = struct.pack(">IIiI", tags.REGION_SIGNATURES, tags.BINARY, -16 * entries, 16)
    return MAGIC + struct.pack(">II", entries, len(data) + 16) + region + index + data + trailer


def _tag_of(packet: bytes) -> int:
    """Where rpm looks for a signature of this algorithm."""
    body = _body(packet)
    algorithm = body[2] if len(body) > 2 and body[0] in (4, 6) else None
    if algorithm in _RSA:
        return tags.SIG_RSA
    if algorithm in _OTHERS:
        return tags.SIG_DSA
    raise InvalidPackage("signature", "not an OpenPGP signature that rpm knows")


def _body(packet: bytes) -> bytes:
    """The body of a signature packet in the old or the new format (RFC 9580, 4.2)."""
    first = packet[0] if packet else 0
    if first & 0xC0 == 0x80 and first >> 2 & 0xF == 2:
        return packet[1 + (1, 2, 4, len(packet))[first & 3] :]
    if first == 0xC2 and len(packet) > 1:
        return packet[{255: 6}.get(packet[1], 2 if packet[1] < 192 else 3) :]
    return b""
