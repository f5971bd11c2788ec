"""One HTTP exchange with a running pkgd, over http.client: this is a command, without a reactor."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable, Iterable, Mapping
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Protocol
from urllib.parse import urlsplit

from attrs import frozen

from pkgd import __version__
from pkgd.errors import ConfigError

__all__ = ["Answer", "HttpTransport", "Server", "Transport", "Unreachable", "local_server"]

# pkgd itself gives an upstream less than that.
TIMEOUT = 120.0

_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


class Unreachable(OSError):
    """There is no connection to be had."""


class Answer(Protocol):
    """An answer whose head has arrived."""

    status: int

    def header(self, name: str) -> str:
        """A header, or ""."""

    def read(self, size: int) -> bytes:
        """At most `size` more bytes of the body; none at its end, be it the right one or not.

        :raises OSError: if the connection breaks.
        :raises HTTPException: if what comes is not HTTP.
        """

    def close(self) -> None:
        """Drop the connection."""


Transport = Callable[[str, str, Mapping[str, str]], Answer]
"""Method, path and headers to an answer; raises `Unreachable`, and otherwise as `Answer.read` does."""


@frozen
class Server:
    """Where pkgd listens."""

    scheme: str
    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"

    @classmethod
    def parse(cls, url: str) -> Server:
        """Read a base URL.

        :raises ConfigError: if it is none, or has more than scheme, host and port.
        """
        try:
            parts = urlsplit(url)
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ConfigError("--url", f"{url}: {error}") from error
        if parts.scheme not in ("http", "https") or not re.fullmatch(r"[a-z0-9._-]+|[0-9a-f:.]+", host):
            raise ConfigError("--url", f"{url} is not a URL such as https://registry.example.com")
        if parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise ConfigError("--url", f"{url} has more than a host and a port")
        return cls(parts.scheme, host, port or (443 if parts.scheme == "https" else 80))


def local_server(endpoint: str, tls: bool) -> Server:
    """The pkgd that listens on an endpoint of Twisted's, `tcp:8080:interface=127.0.0.1`.

    :raises ConfigError: if that is no TCP port.
    """
    # A colon within an argument, as in IPv6 addresses, is escaped.
    kind, *arguments = [one.replace("\\", "") for one in re.split(r"(?<!\\):", endpoint)]
    named = dict(one.split("=", 1) for one in arguments if "=" in one)
    port = named.get("port") or next((one for one in arguments[:1] if "=" not in one), "")
    if kind not in ("tcp", "ssl") or not re.fullmatch(r"[1-9][0-9]{0,4}", port):
        raise ConfigError("server.listen", f"{endpoint} is no TCP port that could be asked; give --url")
    host = named.get("interface", "")
    return Server("https" if tls or kind == "ssl" else "http", _ANY_ADDRESS.get(host, host), int(port))


class HttpTransport:
    """A transport with one connection per exchange.

    :param connect: makes an HTTPConnection that is not connected yet.
    :param authorization: the header of that name, for every exchange.
    """

    def __init__(self, connect: Callable[[], HTTPConnection], authorization: str | None = None) -> None:
        self._connect = connect
        self._login = {} if authorization is None else {"Authorization": authorization}

    @classmethod
    def to(cls, server: Server, ca_file: str | None, authorization: str | None = None) -> HttpTransport:
        """The transport to a server.

        :param ca_file: the PEM file of certificates to trust instead of the system's.
        :param authorization: see the constructor.
        :raises ConfigError: if that cannot be used.
        """
        if server.scheme == "http":
            return cls(lambda: HTTPConnection(server.host, server.port, timeout=TIMEOUT), authorization)
        try:
            context = ssl.create_default_context(cafile=ca_file)
        except OSError as error:
            raise ConfigError("--ca-file", f"{ca_file}: {error.strerror or error}") from error
        return cls(lambda: HTTPSConnection(server.host, server.port, timeout=TIMEOUT, context=context), authorization)

    def __call__(
        self, method: str, path: str, headers: Mapping[str, str], body: Iterable[bytes] | None = None
    ) -> Answer:
        """Ask, and wait for the head of the answer.

        :param body: its pieces; the headers say how long it is.
        """
        connection = self._connect()
        try:
            try:
                connection.connect()
            except (OSError, UnicodeError) as error:
                # UnicodeError: a name that no DNS can hold.
                raise Unreachable(getattr(error, "strerror", None) or str(error)) from error
            fields = {"User-Agent": f"pkgd-prefetch/{__version__}", "Connection": "close", **self._login, **headers}
            try:
                connection.request(method, path, body, fields)
            except (BrokenPipeError, ConnectionResetError):
                # A server that refuses may answer before the body has gone out, and not take the rest.
                if body is None:
                    raise
            return _HttpAnswer(connection)
        except (OSError, HTTPException):
            connection.close()
            raise


class _HttpAnswer:
    def __init__(self, connection: HTTPConnection) -> None:
        self._connection = connection
        self._response = connection.getresponse()
        self.status = self._response.status

    def header(self, name: str) -> str:
        return self._response.getheader(name) or ""

    def read(self, size: int) -> bytes:
        return self._response.read(size)

    def close(self) -> None:
        self._response.close()
        self._connection.close()
