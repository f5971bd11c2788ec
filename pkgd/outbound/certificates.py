"""Which certificates are believed: the system's roots, and a file of the operator's besides.

The system's are those of OpenSSL's defaults; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. They take
milliseconds to read and a megabyte to keep, so all connections share what has been read; what is a
connection's own is the name that the certificate must have.
"""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any

from twisted.internet._sslverify import ClientTLSOptions
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, TLSVersion, platformTrust

from pkgd.errors import ConfigError

__all__ = ["Certificates"]


class Certificates:
    """Makes the TLS side of connections: TLS 1.2 or later, verified, HTTP/1.1 only (nothing is offered by ALPN).

    :param ca_file: PEM certificates that are trusted besides the system's.
    :raises ConfigError: if the file cannot be used.
    """

    def __init__(self, ca_file: str | None = None) -> None:
        self._options = _options(ca_file, os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))

    def creator(self, host: str) -> IOpenSSLClientConnectionCreator:
        """For connections to a host, whose name or address is what is verified.

        :raises ValueError: if no certificate can have this name.
        """
        # As `optionsForClientTLS` does it, which would read the roots for every connection anew.
        return ClientTLSOptions(self._options.clientConnectionForTLS, host)


@lru_cache(maxsize=64)
def _options(ca_file: str | None, *_: str | None) -> Any:
    """What all connections share that trust the same.

    :param _: where OpenSSL looks for the system's roots.
    :raises ConfigError: see `Certificates`.
    """
    options = CertificateOptions(trustRoot=platformTrust(), raiseMinimumTo=TLSVersion.TLSv1_2)
    if ca_file is not None:
        try:
            options.getContext().load_verify_locations(ca_file)
        except Exception as error:
            raise ConfigError("", f"{ca_file} holds no certificates that can be used: {error}") from error
    return options
