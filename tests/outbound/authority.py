"""A certificate authority in memory, and servers that show what it has signed."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from functools import lru_cache
from ipaddress import ip_address
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL import SSL
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import CertificateOptions, PrivateCertificate, TLSVersion
from twisted.internet.testing import StringTransport
from twisted.protocols.tls import TLSMemoryBIOFactory

from tests.outbound.network import Network, Wire

__all__ = ["Authority", "SecureServer", "authority"]

_FROM = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
_PAST = datetime.datetime(2021, 1, 1, tzinfo=datetime.UTC)
_TO = datetime.datetime(2120, 1, 1, tzinfo=datetime.UTC)


class Authority:
    """Signs certificates. `pem` is its own."""

    def __init__(self, name: str) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(self._name, self._key, _TO)
        signed = builder.add_extension(x509.BasicConstraints(True, None), True).sign(self._key, hashes.SHA256())
        self.pem = signed.public_bytes(serialization.Encoding.PEM)

    def issue(self, *names: str, expired: bool = False) -> PrivateCertificate:
        """A certificate for these names and addresses; without any, only the subject has a name."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "quay.io")])
        builder = self._builder(subject, key, _PAST if expired else _TO)
        if names:
            alternatives = x509.SubjectAlternativeName([_alternative(name) for name in names])
            builder = builder.add_extension(alternatives, False)
        signed = builder.sign(self._key, hashes.SHA256())
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return PrivateCertificate.loadPEM(private + signed.public_bytes(serialization.Encoding.PEM))

    def _builder(self, subject: x509.Name, key: Any, until: datetime.datetime) -> x509.CertificateBuilder:
        serial = x509.random_serial_number()
        return x509.CertificateBuilder(self._name, subject, key.public_key(), serial, _FROM, until)


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


@lru_cache
def authority(name: str = "good") -> Authority:
    """An authority; making its key takes a moment, so each is made once."""
    return Authority(name)


class _Listener(Protocol):
    """What the server hears. `heard` is all of it; `connected` whether TLS has been set up as far as it knows."""

    heard = b""

    def dataReceived(self, data: bytes) -> None:
        """Keep it."""
        self.heard += data


class SecureServer:
    """The other end of a wire, speaking TLS.

    :param most: the latest version that it speaks.
    :param protocols: what it would speak, by ALPN.
    :param asks: whether it asks for a certificate of the client's, and takes any.
    """

    def __init__(
        self,
        network: Network,
        wire: Wire,
        certificate: PrivateCertificate,
        most: Any = TLSVersion.TLSv1_3,
        protocols: Sequence[bytes] = (),
        asks: bool = False,
    ) -> None:
        options = CertificateOptions(
            privateKey=certificate.privateKey.original,
            certificate=certificate.original,
            insecurelyLowerMinimumTo=TLSVersion.TLSv1_0,
            lowerMaximumSecurityTo=most,
            acceptableProtocols=protocols or None,
        )
        if most is not TLSVersion.TLSv1_3:
            options.getContext().set_cipher_list(b"ALL:@SECLEVEL=0")
        if asks:
            options.getContext().set_verify(SSL.VERIFY_PEER, lambda *_: True)
        self.listener = _Listener()
        factory: Any = TLSMemoryBIOFactory(options, False, Factory.forProtocol(lambda: self.listener), network)
        self._network = network
        self._wire = wire
        self._transport = StringTransport()
        self._tls: Any = factory.buildProtocol(None)
        self._tls.makeConnection(self._transport)

    @property
    def server_name(self) -> bytes | None:
        """What the client called it (SNI)."""
        name: bytes | None = self._tls.getHandle().get_servername()
        return name

    @property
    def client_certificate(self) -> Any:
        """What the client has shown, or None."""
        return self._tls.getHandle().get_peer_certificate()

    @property
    def negotiated(self) -> bytes:
        """What was agreed on by ALPN."""
        chosen: bytes = self._tls.getHandle().get_alpn_proto_negotiated()
        return chosen

    def send(self, data: bytes) -> None:
        """Say something."""
        self._tls.write(data)
        self.talk()

    def talk(self) -> None:
        """Carry bytes back and forth until nobody has any."""
        while True:
            self._network.advance(0)
            sent = self._wire.take()
            if sent:
                self._tls.dataReceived(sent)
            said = self._transport.value()
            self._transport.clear()
            if said:
                self._wire.deliver(said)
            if not sent and not said:
                return
