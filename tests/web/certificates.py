"""Certificates for tests, made on the spot: self-signed, for `registry.test`."""

from __future__ import annotations

import datetime
import os

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

__all__ = ["Pair"]

_FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_TO = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


class Pair:
    """A certificate and its key, as PEM files in a directory."""

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, exist_ok=True)
        self.certificate = os.path.join(directory, "chain.pem")
        self.key = os.path.join(directory, "key.pem")
        self.serial = 0
        self.renew()

    def renew(self) -> None:
        """Write a new pair over the old one."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "registry.test")])
        self.serial = x509.random_serial_number()
        certificate = x509.CertificateBuilder(name, name, key.public_key(), self.serial, _FROM, _TO)
        _replace(self.certificate, certificate.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        _replace(
            self.key,
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            ),
        )


def _replace(path: str, data: bytes) -> None:
    """Put another file in its place, as certbot does."""
    with open(f"{path}.new", "wb") as file:
        file.write(data)
    os.replace(f"{path}.new", path)
