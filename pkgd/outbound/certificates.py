"""Which certificates are believed: the system's roots, and a file of the operator's besides.

The system's are those of OpenSSL's defaults; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from twisted.internet._sslverify import IOpenSSLTrustRoot
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator
from twisted.internet.ssl import CertificateOptions, optionsForClientTLS
from zope.interface import implementer

from pkgd.errors import ConfigError

__all__ = ["Certificates"]

# Reading the roots takes milliseconds and a megabyte for each host, so the last few are kept.
KEPT = 8


@implementer(IOpenSSLTrustRoot)
class _Roots:
    """The roots of every context that is made."""

    def __init__(self, ca_file: str | None) -> None:
        self._ca_file = ca_file

    def _addCACertsToContext(self, context: Any) -> None:
        context.set_default_verify_paths()
        if self._ca_file is not None:
            context.load_verify_locations(self._ca_file)


class Certificates:
    """Makes the TLS side of connections: TLS 1.2 or later, verified, HTTP/1.1 only (no ALPN is offered).

    :param ca_file: PEM certificates that are trusted besides the system's.
    :raises ConfigError: if the file cannot be used.
    """

    def __init__(self, ca_file: str | None = None) -> None:
        self._roots = _Roots(ca_file)
        self._kept: OrderedDict[str, IOpenSSLClientConnectionCreator] = OrderedDict()
        if ca_file is not None:
            try:
                CertificateOptions(trustRoot=self._roots).getContext()
            except Exception as error:
                raise ConfigError("", f"{ca_file} holds no certificates that can be used: {error}") from error

    def creator(self, host: str) -> IOpenSSLClientConnectionCreator:
        """For connections to a host: its name, or address, is what is verified.

        :raises ValueError: if no certificate can have this name.
        """
        found = self._kept.pop(host, None) or optionsForClientTLS(host, trustRoot=self._roots)
        self._kept[host] = found
        if len(self._kept) > KEPT:
            self._kept.popitem(last=False)
        return found
