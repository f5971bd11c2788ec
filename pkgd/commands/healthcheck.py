"""The command `pkgd healthcheck`: whether the daemon takes requests, for containers that have no other program."""

from __future__ import annotations

import sys
from http.client import HTTPException
from typing import TYPE_CHECKING, Any

from pkgd.commands.common import SERVER, Anywhere, running

if TYPE_CHECKING:
    from pkgd.prefetch.transport import Transport

__all__ = ["HealthcheckOptions", "check", "run"]

# `/ready` is a small document.
MAX_ANSWER = 64 * 1024


class HealthcheckOptions(Anywhere):
    """The command line."""

    longdesc = (
        "Asks the daemon for /ready. The exit status is 0 if it takes requests, else 1, and its answer is printed."
    )
    optParameters = SERVER

    def postOptions(self) -> None:
        """Read what can be read without the configuration."""
        self.parse_server()


def run(options: Any) -> int:
    """Ask once."""
    from pkgd.prefetch.transport import HttpTransport

    server = running(options)
    return check(HttpTransport.to(server, options["ca-file"]), str(server))


def check(transport: Transport, name: str) -> int:
    """Ask once, and print what is answered; returns the exit status.

    :param name: what the daemon is called where it doesn't answer.
    """
    try:
        answer = transport("GET", "/ready", {})
        try:
            text = answer.read(MAX_ANSWER).decode("utf-8", "replace").strip()
        finally:
            answer.close()
    except (OSError, HTTPException) as error:
        print(f"pkgd: {name} does not answer: {error}", file=sys.stderr)
        return 1
    print(text)
    return 0 if answer.status == 200 else 1
