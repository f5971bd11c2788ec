"""What commands share that look after secrets of users, on a running pkgd or in a state directory."""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Callable, Sequence
from http.client import HTTPException
from typing import Any

from twisted.python import usage

from pkgd import __version__
from pkgd.commands.credentials import read_credentials
from pkgd.errors import ConfigError
from pkgd.options import AnywhereOptions
from pkgd.prefetch.transport import HttpTransport, Server, Unreachable

__all__ = ["Api", "ApiOptions", "one_line"]

# What of an answer is read; a list of keys is the longest.
MAX_ANSWER = 16 << 20


class ApiOptions(AnywhereOptions):
    """The options by which it is chosen."""

    optParameters: list[Any] = [
        ["config", "c", None, "The configuration file, whose state directory is worked on."],
        ["url", "u", None, "The running pkgd to ask instead."],
        ["credentials", None, None, "With --url: a file with user:password in its first line; - is standard input."],
        ["ca-file", None, None, "A PEM file with the certificates to trust instead of the system's."],
    ]

    def postOptions(self) -> None:
        """Two that go together."""
        if (self["url"] is None) != (self["credentials"] is None):
            raise usage.UsageError("--url and --credentials go together")

    def api(self, source: Callable[[], str]) -> Api | None:
        """The running pkgd to ask; None if it is the state directory.

        :param source: gives the first line of standard input.
        :raises ConfigError: if it cannot be asked.
        """
        if self["url"] is None:
            return None
        credentials = read_credentials(self["credentials"], source)
        return Api(HttpTransport.to(Server.parse(self["url"]), self["ca-file"]), credentials)


class Api:
    """The API of a running pkgd, as the user whose credentials, `user:password`, these are."""

    def __init__(self, transport: HttpTransport, credentials: str) -> None:
        self._transport = transport
        self._authorization = "Basic " + b64encode(credentials.encode("utf-8")).decode("ascii")

    def ask(self, method: str, path: str, body: bytes | None = None) -> Any:
        """What it answers, or None if that is nothing.

        :raises ConfigError: if it does not do what it is asked for, with the reason.
        """
        headers = {"Authorization": self._authorization, "User-Agent": f"pkgd-key/{__version__}"}
        if body is not None:
            headers["Content-Length"] = str(len(body))
        try:
            answer = self._transport(method, path, headers, None if body is None else [body])
            try:
                text = answer.read(MAX_ANSWER).decode("utf-8", "replace")
            finally:
                answer.close()
            found = json.loads(text) if text else None
        except Unreachable as error:
            raise ConfigError("--url", f"no connection: {error}") from error
        except (OSError, HTTPException, ValueError) as error:
            raise ConfigError("--url", f"it is no pkgd that answers there: {error}") from error
        if answer.status >= 300:
            raise ConfigError("", _why(found, answer.status))
        return found


def one_line(parts: Sequence[str]) -> str:
    """Fields as a line, whatever others have written into them."""
    return _plain("  ".join(parts).rstrip()) + "\n"


def _why(answer: Any, status: int) -> str:
    """What an answer of a pkgd says has gone wrong."""
    try:
        message = str(answer["errors"][0]["message"])
    except (TypeError, LookupError):
        message = "it is no pkgd that answers there"
    return _plain(f"{message} ({status})")


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)
