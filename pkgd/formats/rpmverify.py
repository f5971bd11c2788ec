"""Who has signed a package of rpm, as clients find out: by every signature in it, and by keys that they know."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from pkgd.errors import InvalidKey, InvalidPackage
from pkgd.formats.openpgp.certificates import Certificate, SigningKey
from pkgd.formats.openpgp.material import HASHES
from pkgd.formats.openpgp.packets import SIGNATURE, read_packets
from pkgd.formats.openpgp.signaturepackets import BINARY, SignaturePacket, read_signature
from pkgd.formats.rpm import RpmPackage
from pkgd.formats.rpmheader import ReadAt, read_exactly
from pkgd.formats.rpmsignature import Signature

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["verify_signatures"]

# More than anybody puts into one package.
_MAX_SIGNATURES = 16
# So much younger than our clock a signature may be, in seconds.
_SKEW = 600
_PIECE = 1024 * 1024


def verify_signatures(
    read_at: ReadAt, package: RpmPackage, certificates: Sequence[Certificate], now: int
) -> frozenset[str]:
    """Verify every signature of a package; the fingerprints of the certificates that they are by.

    rpm refuses a package with one bad signature, or one by a key that it doesn't know, whatever else it has; so all
    have to be good. Those of old, of header and payload, are read as well.

    :param now: in seconds since the epoch: who has expired by then doesn't count.
    :raises InvalidPackage: if there is none, or one is wrong, or they say nothing of the payload.
    """
    found = package.signatures
    if not found:
        raise InvalidPackage(package.nevra, "it is not signed")
    if len(found) > _MAX_SIGNATURES:
        raise InvalidPackage(package.nevra, f"it has more than {_MAX_SIGNATURES} signatures")
    if not package.digests.payload and not any(one.covers_payload for one in found):
        raise InvalidPackage(
            package.nevra, "its signature does not cover the payload, of which its header has no digest"
        )
    verifier = _Verifier(read_at, package, certificates, now)
    return frozenset(verifier.signer(one) for one in found)


@frozen
class _Content:
    """What a signature covers: so many bytes from an offset."""

    start: int
    end: int


class _Verifier:
    def __init__(self, read_at: ReadAt, package: RpmPackage, certificates: Sequence[Certificate], now: int) -> None:
        self._read_at = read_at
        self._package = package
        self._certificates = certificates
        self._now = now
        # Once for all signatures, for the payload may be large.
        self._hashed: dict[tuple[_Content, int], _Hash] = {}

    def signer(self, signature: Signature) -> str:
        """The fingerprint of the certificate that a signature is by."""
        packet = self._read(signature.packet)
        owner, key = self._owner(packet)
        if packet.created < key.material.created:
            raise self._refusal("its signature is older than the key that it names")
        content = _Content(
            self._package.header_start, self._package.size if signature.covers_payload else self._package.header_end
        )
        if not packet.fits(key.material, self._hash(content, packet.hash)):
            raise self._refusal("its signature is not of these bytes: package or signature have been changed")
        return owner.fingerprint

    def _read(self, data: bytes) -> SignaturePacket:
        try:
            (packet,) = read_packets(data)
            found = read_signature(packet.body)
        except (InvalidKey, ValueError) as error:
            reason = error.message if isinstance(error, InvalidKey) else "it is not one packet"
            raise self._refusal(f"its signature cannot be read: {reason}") from error
        if packet.tag != SIGNATURE or found.kind != BINARY:
            raise self._refusal("its signature is not one of a package")
        if found.hash not in HASHES:
            raise self._refusal("its signature is made with a hash that clients refuse: SHA-256 is the least")
        if found.created > self._now + _SKEW:
            raise self._refusal("its signature was made in the future")
        if found.expires and found.expires <= self._now:
            raise self._refusal("its signature has expired")
        return found

    def _owner(self, packet: SignaturePacket) -> tuple[Certificate, SigningKey]:
        """Whose signature it claims to be, if that is someone who may sign."""
        for certificate in self._certificates:
            if certificate.revoked and certificate.primary.key_id == packet.issuer:
                raise self._refusal(f"its signature is by the key {packet.issuer.hex()}, which is revoked")
            for key in certificate.signing:
                if key.material.key_id != packet.issuer:
                    continue
                problem = key.problem(self._now)
                if problem:
                    raise self._refusal(f"its signature is by the key {packet.issuer.hex()}: {problem}")
                return certificate, key
        whose = f"the key {packet.issuer.hex()}" if packet.issuer else "nobody says whom"
        raise self._refusal(f"its signature is by {whose}, and not by a key of this repository")

    def _hash(self, content: _Content, algorithm: int) -> _Hash:
        if (content, algorithm) not in self._hashed:
            running, at = hashlib.new(HASHES[algorithm][0]), content.start
            while at < content.end:
                piece = read_exactly(self._read_at, at, min(_PIECE, content.end - at), "package")
                running.update(piece)
                at += len(piece)
            self._hashed[content, algorithm] = running
        return self._hashed[content, algorithm]

    def _refusal(self, reason: str) -> InvalidPackage:
        return InvalidPackage(self._package.nevra, reason)
