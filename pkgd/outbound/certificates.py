"""Which certificates are believed: those of the system's roots, and of the operator's, for the name that was called.

The system's roots are OpenSSL's defaults; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. They take
milliseconds to read and a megabyte to keep, so all connections share what has been read.

Twisted's `optionsForClientTLS` is not used: it believes a certificate whose names it cannot make sense
of, or that has none, for every host (its verification logs the error and goes on).
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from service_identity.cryptography import verify_certificate_hostname, verify_certificate_ip_address
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion, platformTrust
from zope.interface import implementer

from pkgd.errors import ConfigError
from pkgd.outbound.settings import Trust

__all__ = ["Certificates"]


class Certificates:
    """Makes the TLS side of connections: TLS 1.2 or later, verified, HTTP/1.1 only (nothing is offered by ALPN).

    :raises ConfigError: if a file of `trust` cannot be used.
    """

    def __init__(self, trust: Trust) -> None:
        own = (trust.client_certificate, trust.client_key)
        self._options = _options(trust.ca_file, own, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))

    def creator(self, host: str) -> IOpenSSLClientConnectionCreator:
        """For connections to a host, whose name or address is what is verified."""
        return _Creator(self._options, host)


@implementer(IOpenSSLClientConnectionCreator)
class _Creator:
    """Connections to one host."""

    def __init__(self, options: Any, host: str) -> None:
        self._options = options
        self._host = host
        self._is_name = not (isIPAddress(host) or isIPv6Address(host))

    def clientConnectionForTLS(self, tlsProtocol: Any) -> Any:
        """Called by TLS for each connection."""
        connection = self._options.clientConnectionForTLS(tlsProtocol)
        if self._is_name:
            connection.set_tlsext_host_name(self._host.encode("ascii"))
        connection.set_verify(connection.get_verify_mode(), self._verify)
        return connection

    def _verify(self, connection: Any, certificate: Any, error: int, depth: int, valid: int) -> bool:
        """Called by OpenSSL for each certificate of a chain, the server's own being the one at depth 0."""
        return bool(valid) and (depth > 0 or self._names_us(certificate))

    def _names_us(self, certificate: Any) -> bool:
        """Whether a certificate is for the host (RFC 9525). Whatever is not clear is a no."""
        verify = verify_certificate_hostname if self._is_name else verify_certificate_ip_address
        try:
            verify(certificate.to_cryptography(), self._host)
        except Exception:
            return False
        return True


@lru_cache(maxsize=64)
def _options(ca_file: str | None, own: tuple[str | None, str | None], *_: str | None) -> Any:
    """What all connections share that trust the same, and show the same.

    :param own: the files of our certificate and its key.
    :param _: where OpenSSL looks for the system's roots.
    :raises ConfigError: see `Certificates`.
    """
    options = CertificateOptions(trustRoot=platformTrust(), raiseMinimumTo=TLSVersion.TLSv1_2)
    if ca_file is not None:
        try:
            options.getContext().load_verify_locations(ca_file)
        except Exception as error:
            raise ConfigError("", f"{ca_file} holds no certificates that can be used: {error}") from error
    certificate, key = own
    if certificate is not None and key is not None:
        try:
            options.getContext().use_certificate_chain_file(certificate)
            options.getContext().use_privatekey_file(key)
            options.getContext().check_privatekey()
        except Exception as error:
            # What OpenSSL says may have the key's own words in it.
            raise ConfigError("", f"{certificate} and {key} hold no certificate with its key") from error
    return options
