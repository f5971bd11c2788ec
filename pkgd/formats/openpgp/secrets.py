"""Private keys: what signs, and the certificate by which it is known."""

from __future__ import annotations

from attrs import field, frozen

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.armor import armored, dearmored
from pkgd.formats.openpgp.certificates import Certificate
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

__all__ = ["PrivateKey", "read_private_key"]

_PUBLIC = {SECRET_KEY: PUBLIC_KEY, SECRET_SUBKEY: PUBLIC_SUBKEY}


@frozen
class PrivateKey:
    """`secret` signs as `signer`: the certificate's primary key, or a subkey of it."""

    certificate: Certificate
    signer: PublicMaterial
    secret: Secret = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """The certificate's, in lower-case hex."""
        return self.certificate.fingerprint

    @property
    def created(self) -> int:
        """When the primary key was made, in seconds since the epoch."""
        return self.certificate.primary.created

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
        stub = b"\xff\x00\x65\x00GNU\x01"
        packets = []
        for packet in self.certificate.packets:
            tags = {public: tag for tag, public in _PUBLIC.items()}
            if packet.tag in tags:
                body = packet.body + (secret if packet.body == self.signer.body else stub)
                packets.append(Packet(tags[packet.tag], body))
            else:
                packets.append(packet)
        return armored(b"".join(one.encode() for one in packets), "PRIVATE KEY BLOCK")


def read_private_key(data: bytes, passphrase: str | None = None) -> PrivateKey:
    """Read a secret key, armored or not, as GnuPG exports it; the youngest signing subkey signs, if there is one.

    :raises InvalidKey: if it cannot sign, is not version 4, or the passphrase is missing or wrong.
    """
    packets = read_packets(dearmored(data))
    if not packets or packets[0].tag != SECRET_KEY:
        raise InvalidKey("", "it is no secret key")
    secrets: dict[bytes, Secret] = {}
    public: list[Packet] = []
    for packet in packets:
        if packet.tag == SECRET_KEY and public:
            break  # the next key
        if packet.tag not in _PUBLIC:
            public.append(packet)
            continue
        shown, secret = _opened(packet, passphrase, is_primary=packet.tag == SECRET_KEY)
        public.append(Packet(_PUBLIC[packet.tag], shown))
        if secret is not None:
            secrets[shown] = secret
    certificate = Certificate.of(public)
    for signer in certificate.signing_keys:
        if signer.body in secrets:
            return PrivateKey(certificate, signer, secrets[signer.body])
    raise InvalidKey("", "it has no secret part that may sign")


def _opened(packet: Packet, passphrase: str | None, is_primary: bool) -> tuple[bytes, Secret | None]:
    """A secret key packet's public body, and its secret; None if that is elsewhere, or of no use for signing."""
    fields = Fields(packet.body)
    try:
        public = read_public(fields)
    except InvalidKey:
        if is_primary:
            raise
        # An encryption subkey: what it is for we don't know, and where its public part ends neither.
        return b"", None
    numbers = unprotect(fields.rest, passphrase)
    secret = None if numbers is None else read_secret(public, Fields(numbers))
    return public.body, secret
