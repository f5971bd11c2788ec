"""TLS by certificate files that may change while the daemon runs.

The files are looked at every few seconds, and on SIGHUP; new connections get the new certificate.
A broken new pair keeps the old one in use. HTTP/1.1 is the only protocol offered.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from pkgd.errors import ConfigError

__all__ = ["CertificateFiles", "load_context"]

log = Logger()


def load_context(certificate: str, key: str) -> SSL.Context:
    """A server context from PEM files: the chain, and its key. Blocks.

    :raises ConfigError: if they cannot be read, or don't belong together.
    """
    context = SSL.Context(SSL.TLS_SERVER_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION | SSL.OP_CIPHER_SERVER_PREFERENCE)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_alpn_select_callback(_choose_protocol)
    try:
        context.use_certificate_chain_file(certificate)
        context.use_privatekey_file(key)
        context.check_privatekey()
    except (SSL.Error, OSError) as error:
        raise ConfigError("server.tls", f"{certificate} and {key} are no usable pair: {error}") from error
    return context


def _choose_protocol(_: SSL.Connection, offered: list[bytes]) -> Any:
    return b"http/1.1" if b"http/1.1" in offered else SSL.NO_OVERLAPPING_PROTOCOLS


class _Connection(SSL.Connection):
    """A connection whose client may close it during the handshake: one that does not trust the certificate does so.

    pyOpenSSL's error for that says nothing, and Twisted looks for what it says: it is called a lost connection here.
    """

    def do_handshake(self) -> None:
        try:
            super().do_handshake()
        except SSL.ZeroReturnError as error:
            raise SSL.SysCallError(-1, "Unexpected EOF") from error


@implementer(IOpenSSLServerConnectionCreator)
class CertificateFiles:
    """The present context, and how to renew it."""

    def __init__(self, certificate: str, key: str) -> None:
        self._certificate = certificate
        self._key = key
        self._seen = self._stamp()
        self._context = load_context(certificate, key)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:
        """A connection with the present certificate."""
        return _Connection(self._context, None)

    def expiry(self) -> float:
        """When the present certificate expires, in seconds since the epoch."""
        certificate = SSL.Connection(self._context, None).get_certificate()
        stamp = certificate.get_notAfter() if certificate is not None else None
        assert stamp is not None, "a context is used only with a certificate, and every certificate has an end"
        return datetime.strptime(stamp.decode("ascii"), "%Y%m%d%H%M%SZ").replace(tzinfo=UTC).timestamp()

    def use(self, certificate: str, key: str) -> None:
        """Look at these files from now on; `refresh` loads them."""
        self._certificate, self._key = certificate, key

    def refresh(self) -> None:
        """Load the files anew if they have changed. Blocks."""
        stamp = self._stamp()
        if stamp == self._seen:
            return
        self._seen = stamp
        try:
            self._context = load_context(self._certificate, self._key)
            log.info("the TLS certificate has been loaded anew from {path}", path=self._certificate)
        except ConfigError as error:
            log.error("the old TLS certificate stays in use: {reason}", reason=error.message)

    def _stamp(self) -> tuple[object, ...]:
        return tuple(_identity(path) for path in (self._certificate, self._key))


def _identity(path: str) -> tuple[int, int, int] | None:
    """What changes with a file's content, also when a symbolic link is turned, as Kubernetes does."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size
