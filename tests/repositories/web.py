"""HTTP as a suite needs it: whatever the path, the method and the body, one exchange, and the whole answer."""

from __future__ import annotations

import http.client
import json
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple


class Wrong(Exception):
    """Something is not as it must be."""


class Answer(NamedTuple):
    """What a server said."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body, for people."""
        return self.body.decode(errors="replace")

    def must_be(self, *statuses: int) -> Answer:
        """Raise Wrong unless the status is one of these; return the answer."""
        if self.status not in statuses:
            raise Wrong(f"{self.status} instead of {' or '.join(map(str, statuses))}: {self.text[:500]}")
        return self


class Web:
    """A server, by its address."""

    def __init__(self, host: str, port: int, authority: Path | None = None) -> None:
        """
        :param authority: by whom its certificate is, if it speaks TLS.
        """
        self._host = host
        self._port = port
        self._tls = ssl.create_default_context(cafile=str(authority)) if authority else None
        self.url = f"{'https' if authority else 'http'}://{host}:{port}"

    def _connection(self) -> http.client.HTTPConnection:
        if self._tls is None:
            return http.client.HTTPConnection(self._host, self._port, timeout=60)
        return http.client.HTTPSConnection(self._host, self._port, timeout=60, context=self._tls)

    def answers(self, path: str) -> bool:
        """Whether a GET of the path is answered with 200 now."""
        try:
            return self.call("GET", path).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """One exchange over a connection of its own.

        :raises OSError: if there is no whole answer; http.client's exceptions as well.
        """
        connection = self._connection()
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        finally:
            connection.close()

    def get(self, path: str) -> bytes:
        """A file that must be there."""
        return self.call("GET", path).must_be(200).body

    def put(self, path: str, file: Path) -> Answer:
        """Upload a file."""
        return self.call("PUT", path, file.read_bytes())

    def json(self, path: str) -> Any:
        """A document of the API."""
        return json.loads(self.get(path))


def must(condition: object, what: str) -> None:
    """Raise Wrong, with what should have been, unless the condition holds."""
    if not condition:
        raise Wrong(what)


def must_have(text: str, *parts: str) -> None:
    """Raise Wrong unless a text has all these parts."""
    for part in parts:
        if part not in text:
            raise Wrong(f"no {part!r} in {text[-1500:]!r}")
