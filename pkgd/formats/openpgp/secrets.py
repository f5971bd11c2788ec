"""Private keys: what signs, and the certificate by which it is known."""

from __future__ import annotations

from collections.abc import Sequence

from attrs import field, frozen

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.armor import armored, dearmored
from pkgd.formats.openpgp.certificates import Certificate, SigningKey
from pkgd.formats.openpgp.material import PublicMaterial, Secret, read_public, read_secret, secret_numbers
from pkgd.formats.openpgp.packets import (
    PUBLIC_KEY,
    PUBLIC_SUBKEY,
    SECRET_KEY,
    SECRET_SUBKEY,
    Fields,
    Packet,
    read_packets,
)
from pkgd.formats.openpgp.protection import protect, unprotect

__all__ = ["PrivateKey", "read_private_key", "read_private_keys"]

_PUBLIC = {SECRET_KEY: PUBLIC_KEY, SECRET_SUBKEY: PUBLIC_SUBKEY}
_SECRET = {public: secret for secret, public in _PUBLIC.items()}
# What GnuPG writes in place of a secret that it leaves out.
_STUB = b"\xff\x00\x65\x00GNU\x01"
# Each may cost a second, for its passphrase.
_MAX_KEYS = 16


@frozen
class PrivateKey:
    """`secret` signs as `signing`: the certificate's primary key, or a subkey of it."""

    certificate: Certificate
    signing: SigningKey
    secret: Secret = field(repr=False)

    @property
    def signer(self) -> PublicMaterial:
        """What verifies the signatures."""
        return self.signing.material

    @property
    def fingerprint(self) -> str:
        """The certificate's, in lower-case hex."""
        return self.certificate.fingerprint

    @property
    def created(self) -> int:
        """When the primary key was made, in seconds since the epoch."""
        return self.certificate.primary.created

    @property
    def expires(self) -> int:
        """When it stops signing, in seconds since the epoch; 0 is never."""
        return self.signing.expires

    def problem(self, now: int) -> str:
        """Why it cannot sign now; empty if it can."""
        return self.signing.problem(now)

    @property
    def user_id(self) -> str:
        """Whose key it is."""
        return self.certificate.user_id

    @property
    def public_armor(self) -> bytes:
        """What clients are given."""
        return armored(self.certificate.encode(), "PUBLIC KEY BLOCK")

    def export(self, passphrase: str | None, salt: bytes, iv: bytes) -> bytes:
        """The secret key in armor, for `read_private_key` and for GnuPG.

        What else the certificate holds goes along; of its keys only the one that signs with its secret.

        :param salt: 8 random bytes; `iv`: 16.
        """
        secret = protect(secret_numbers(self.secret), passphrase, salt, iv)
        packets = []
        for packet in self.certificate.packets:
            if packet.tag in _SECRET:
                body = packet.body + (secret if packet.body == self.signer.body else _STUB)
                packets.append(Packet(_SECRET[packet.tag], body))
            else:
                packets.append(packet)
        return armored(b"".join(one.encode() for one in packets), "PRIVATE KEY BLOCK")


def read_private_keys(data: bytes, passphrase: str | None = None, now: int | None = None) -> list[PrivateKey]:
    """Read the secret keys in a file, armored or not, as GnuPG exports them.

    The youngest subkey that signs, and has not expired, signs; else the primary key.

    :param now: keys that cannot sign at that time, in seconds since the epoch, are refused; None for no such check.
    :raises InvalidKey: if one of them cannot sign, is revoked or not version 4, or the passphrase is missing or wrong.
    """
    groups: list[list[Packet]] = []
    for packet in read_packets(dearmored(data)):
        if packet.tag in (SECRET_KEY, PUBLIC_KEY):
            groups.append([packet])
        elif groups:
            groups[-1].append(packet)
    secret = [group for group in groups if group[0].tag == SECRET_KEY]
    if not secret:
        raise InvalidKey("", "it is no secret key")
    if len(secret) > _MAX_KEYS:
        raise InvalidKey("", f"more than {_MAX_KEYS} secret keys are in it")
    return [_read(group, passphrase, now) for group in secret]


def read_private_key(data: bytes, passphrase: str | None = None, now: int | None = None) -> PrivateKey:
    """Read a file with one secret key; otherwise like `read_private_keys`."""
    found = read_private_keys(data, passphrase, now)
    if len(found) > 1:
        raise InvalidKey("", "more than one secret key is in it")
    return found[0]


def _read(packets: Sequence[Packet], passphrase: str | None, now: int | None) -> PrivateKey:
    protected: dict[bytes, bytes] = {}
    public: list[Packet] = []
    for packet in packets:
        if packet.tag in _PUBLIC:
            body, rest = _split(packet)
            protected[body] = rest
            public.append(Packet(_PUBLIC[packet.tag], body))
        else:
            public.append(packet)
    certificate = Certificate.of(public)
    if certificate.revoked:
        raise InvalidKey(certificate.fingerprint, "it is revoked")
    problem = "it may not sign"
    for signing in certificate.signing:
        numbers = None
        if now is not None and signing.problem(now):
            problem = signing.problem(now)
        elif signing.material.body in protected:
            numbers = unprotect(protected[signing.material.body], passphrase)
            problem = "what could sign of it is elsewhere: in another file, or on a card"
        if numbers is not None:
            return PrivateKey(certificate, signing, read_secret(signing.material, Fields(numbers)))
    raise InvalidKey(certificate.fingerprint, problem)


def _split(packet: Packet) -> tuple[bytes, bytes]:
    """A secret key packet's public body, and what follows it."""
    fields = Fields(packet.body)
    try:
        public = read_public(fields)
    except InvalidKey:
        if packet.tag == SECRET_KEY:
            raise
        # An encryption subkey of another kind: where its public part ends, we cannot tell.
        return b"", b""
    return public.body, fields.rest
