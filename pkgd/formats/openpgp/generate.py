"""New keys: one primary key that certifies and signs, with one user name."""

from __future__ import annotations

import struct

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pkgd.errors import InvalidKey
from pkgd.formats.openpgp.certificates import Certificate, SigningKey
from pkgd.formats.openpgp.material import Secret, public_of
from pkgd.formats.openpgp.packets import PUBLIC_KEY, USER_ID, Packet, read_packets
from pkgd.formats.openpgp.secrets import PrivateKey
from pkgd.formats.openpgp.signaturepackets import KEY_FLAGS, PREFERRED_HASHES
from pkgd.formats.openpgp.signatures import sign, subpacket

__all__ = ["ALGORITHMS", "generate_key"]

ALGORITHMS = ("rsa3072", "rsa4096", "ed25519")

_POSITIVE_CERTIFICATION = 0x13
_MAX_NAME = 1024


def generate_key(algorithm: str, user_id: str, created: int) -> PrivateKey:
    """A new key. Takes some seconds of computing for RSA.

    :param algorithm: one of `ALGORITHMS`.
    :param created: now, in seconds since the epoch.
    :raises InvalidKey: for another algorithm, or a user name that cannot be shown in a line.
    """
    name = user_id.encode("utf-8", "replace")
    if not user_id.isprintable() or not 0 < len(name) <= _MAX_NAME:
        raise InvalidKey(user_id, "a user name is one line of text")
    secret = _secret(algorithm)
    public = public_of(secret, created)
    certified = public.hashed + b"\xb4" + struct.pack(">I", len(name)) + name
    # It certifies and signs; signatures are made with SHA-512.
    further = subpacket(KEY_FLAGS, b"\x03") + subpacket(PREFERRED_HASHES, b"\x0a\x08")
    itself = sign(secret, public, _POSITIVE_CERTIFICATION, certified, created, further)
    packets = [Packet(PUBLIC_KEY, public.body), Packet(USER_ID, name), *read_packets(itself)]
    return PrivateKey(Certificate.of(packets), SigningKey(public), secret)


def _secret(algorithm: str) -> Secret:
    if algorithm == "ed25519":
        return Ed25519PrivateKey.generate()
    if algorithm in ALGORITHMS:
        return rsa.generate_private_key(65537, int(algorithm.removeprefix("rsa")))
    raise InvalidKey(algorithm, f"supported are {', '.join(ALGORITHMS)}")
