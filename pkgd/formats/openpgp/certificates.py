"""Certificates: public keys with the names and subkeys that they vouch for (RFC 4880, 11.1).

Only what the primary key vouches for, with a signature that clients accept, is used, and only that is published.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.armor import dearmored
from pkgd.formats.openpgp.material import PublicMaterial, read_public
from pkgd.formats.openpgp.packets import PUBLIC_KEY, PUBLIC_SUBKEY, USER_ID, Fields, Packet, read_packets
from pkgd.formats.openpgp.selfsigned import Part, Signed, about_subkey, read_parts
from pkgd.formats.openpgp.signaturepackets import (
    CROSS_CERTIFICATION,
    KEY_FLAGS,
    KEY_LIFETIME,
    MAY_SIGN,
    PRIMARY_USER_ID,
    read_signature,
)

__all__ = ["Certificate", "SigningKey", "read_certificates"]

# So much younger than our clock a key may be, in seconds.
_SKEW = 600


@frozen
class SigningKey:
    """A key that may sign for a certificate until it expires, in seconds since the epoch; 0 is never."""

    material: PublicMaterial
    expires: int = 0

    def problem(self, now: int) -> str:
        """Why it cannot sign now; empty if it can."""
        if self.expires and self.expires <= now:
            return "it has expired"
        if self.material.created > now + _SKEW:
            return "it was made in the future: is the clock right?"
        return ""


@frozen
class Certificate:
    """A primary key, who it belongs to, and what may sign: youngest subkeys first, the primary key last.

    `packets` are those that are published. If it is revoked, nothing may sign.
    """

    primary: PublicMaterial
    user_id: str
    signing: tuple[SigningKey, ...]
    packets: tuple[Packet, ...]
    revoked: bool = False

    @property
    def fingerprint(self) -> str:
        """In lower-case hex."""
        return self.primary.fingerprint.hex()

    def usable_keys(self, now: int) -> tuple[PublicMaterial, ...]:
        """What may sign at that time."""
        return tuple(one.material for one in self.signing if not one.problem(now))

    def encode(self) -> bytes:
        """The packets, one behind the other."""
        return b"".join(packet.encode() for packet in self.packets)

    @classmethod
    def of(cls, packets: Sequence[Packet]) -> Certificate:
        """Make sense of the packets of one certificate.

        :raises InvalidKey: if the primary key cannot be used, or vouches for no user name.
        """
        if not packets or packets[0].tag != PUBLIC_KEY:
            raise InvalidKey("", "it is no public key")
        primary = read_public(Fields(packets[0].body))
        itself, *parts = read_parts(packets, primary)
        names = [part for part in parts if part.packet.tag == USER_ID and _is_vouched_for(part)]
        if not names:
            raise InvalidKey("", "it vouches for no user name, or only with SHA-1, which clients refuse")
        main = max(names, key=_rank)
        words = [one for one in (main.newest(), itself.newest()) if one is not None]
        expires, revoked = _expiry(primary, words), bool(itself.revocations())
        subkeys = [(part, key) for part in parts if (key := _subkey(part, primary, expires)) is not None]
        signing = [key for part, key in subkeys if not part.revocations()]
        signing.sort(key=lambda one: one.material.created, reverse=True)
        if _flags(words) & MAY_SIGN:
            signing.append(SigningKey(primary, expires))
        published = [packet for part in (itself, *names, *(part for part, _ in subkeys)) for packet in _published(part)]
        name = main.packet.body.decode("utf-8", "replace")
        return cls(primary, name, () if revoked else tuple(signing), tuple(published), revoked)


def read_certificates(data: bytes) -> list[Certificate]:
    """Every certificate in a key file, armored or not; such as cannot be used are left out.

    :raises InvalidKey: if there is none that can.
    """
    groups: list[list[Packet]] = []
    for packet in read_packets(dearmored(data)):
        if packet.tag == PUBLIC_KEY:
            groups.append([packet])
        elif groups:
            groups[-1].append(packet)
    found, problem = list[Certificate](), InvalidKey("", "it is no public key")
    for group in groups:
        try:
            found.append(Certificate.of(group))
        except InvalidKey as error:
            problem = error
    if not found:
        raise problem
    return found


def _is_vouched_for(name: Part) -> bool:
    """Whether a user name's latest certification is younger than what may have revoked it."""
    newest = name.newest()
    return newest is not None and all(newest.says.created > one.says.created for one in name.revocations())


def _rank(name: Part) -> tuple[bool, int]:
    """The primary user name is the one that says so, else the one certified last."""
    newest = name.newest()
    assert newest is not None
    return any(newest.says.stated.get(PRIMARY_USER_ID, b"")), newest.says.created


def _flags(words: Sequence[Signed]) -> int:
    """What the primary key is for; one that doesn't say, as old ones do, is for everything."""
    stated = next((one.says.stated[KEY_FLAGS] for one in words if KEY_FLAGS in one.says.stated), b"\xff")
    return int.from_bytes(stated[:1], "big")


def _expiry(key: PublicMaterial, words: Sequence[Signed], *limits: int) -> int:
    """When a key expires, from the first of the signatures that says how long it lives; 0 is never."""
    lifetime = next((one.says.key_lifetime for one in words if KEY_LIFETIME in one.says.stated), 0)
    # A signature that expires takes its key along.
    ends = [key.created + lifetime if lifetime else 0, *(one.says.expires for one in words), *limits]
    return min((end for end in ends if end), default=0)


def _subkey(part: Part, primary: PublicMaterial, expires: int) -> SigningKey | None:
    """A subkey that signs; None if the part is something else."""
    binding = part.newest()
    if part.packet.tag != PUBLIC_SUBKEY or binding is None or not _flags([binding]) & MAY_SIGN:
        return None
    try:
        key = read_public(Fields(part.packet.body))
        # It has to agree, or somebody might claim the signatures of another's key.
        crossed = read_signature(binding.says.embedded)
    except InvalidKey:
        return None
    agrees = crossed.kind == CROSS_CERTIFICATION and crossed.made_by(key, about_subkey(part.packet.body, primary))
    return SigningKey(key, _expiry(key, [binding], expires)) if agrees else None


def _published(part: Part) -> list[Packet]:
    """A part with the signatures that matter."""
    newest = part.newest()
    return [part.packet, *(one.packet for one in part.revocations()), *([] if newest is None else [newest.packet])]
