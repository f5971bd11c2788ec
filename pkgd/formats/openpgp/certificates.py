"""Certificates: public keys with the names and subkeys that they vouch for (RFC 4880, 11.1)."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.armor import dearmored
from pkgd.formats.openpgp.material import PublicMaterial, read_public
from pkgd.formats.openpgp.packets import PUBLIC_KEY, PUBLIC_SUBKEY, SIGNATURE, USER_ID, Fields, Packet, read_packets

__all__ = ["Certificate", "read_certificates"]

_SUBKEY_BINDING = 0x18
_KEY_FLAGS = 27
_MAY_SIGN = 0x02
# What a certificate is published with; photographs and the like stay out.
_KEPT = frozenset([PUBLIC_KEY, PUBLIC_SUBKEY, USER_ID, SIGNATURE])


@frozen
class Certificate:
    """A primary key, who it belongs to, and what may sign: youngest subkeys first, the primary key last.

    `packets` are those that are published.
    """

    primary: PublicMaterial
    user_id: str
    signing_keys: tuple[PublicMaterial, ...]
    packets: tuple[Packet, ...]

    @property
    def fingerprint(self) -> str:
        """In lower-case hex."""
        return self.primary.fingerprint.hex()

    def encode(self) -> bytes:
        """The packets, one behind the other."""
        return b"".join(packet.encode() for packet in self.packets)

    @classmethod
    def of(cls, packets: Sequence[Packet]) -> Certificate:
        """Make sense of the packets of one certificate.

        :raises InvalidKey: if there is no usable primary key, or no user name.
        """
        if not packets or packets[0].tag != PUBLIC_KEY:
            raise InvalidKey("", "it is no public key")
        primary = read_public(Fields(packets[0].body))
        names = [packet.body.decode("utf-8", "replace") for packet in packets if packet.tag == USER_ID]
        if not names:
            raise InvalidKey("", "it has no user name")
        kept: list[Packet] = []
        signing: list[PublicMaterial] = []
        for number, packet in enumerate(packets):
            if packet.tag == PUBLIC_SUBKEY:
                subkey = _subkey(packet)
                bindings = _signatures_behind(packets, number)
                if subkey is not None and any(_may_sign(one) for one in bindings):
                    signing.append(subkey)
                    kept += [packet, *bindings]
            elif packet.tag in _KEPT and not _is_behind_subkey(packets, number):
                kept.append(packet)
        signing.sort(key=lambda one: one.created, reverse=True)
        return cls(primary, names[0], (*signing, primary), tuple(kept))


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


def _subkey(packet: Packet) -> PublicMaterial | None:
    try:
        return read_public(Fields(packet.body))
    except InvalidKey:
        return None  # for encryption, or of a kind that we don't know


def _signatures_behind(packets: Sequence[Packet], number: int) -> list[Packet]:
    found = []
    for packet in packets[number + 1 :]:
        if packet.tag != SIGNATURE:
            break
        found.append(packet)
    return found


def _is_behind_subkey(packets: Sequence[Packet], number: int) -> bool:
    """Whether a signature is a subkey's."""
    while number > 0 and packets[number].tag == SIGNATURE:
        number -= 1
    return packets[number].tag == PUBLIC_SUBKEY


def _may_sign(signature: Packet) -> bool:
    """Whether a subkey's binding says that it signs."""
    fields = Fields(signature.body)
    try:
        if fields.number(1) != 4 or fields.number(1) != _SUBKEY_BINDING:
            return False
        fields.take(2)
        hashed = Fields(fields.take(fields.number(2)))
        while hashed.rest:
            body = Fields(hashed.take(_subpacket_length(hashed)))
            if body.number(1) & 0x7F == _KEY_FLAGS:
                return bool(body.number(1) & _MAY_SIGN)
    except InvalidKey:
        return False
    return False


def _subpacket_length(fields: Fields) -> int:
    first = fields.number(1)
    if first < 192:
        return first
    if first < 255:
        return ((first - 192) << 8) + fields.number(1) + 192
    return fields.number(4)
