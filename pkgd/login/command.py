"""`pkgd login URL`: a code to log in with by any browser (RFC 8628), and a refresh token for docker and its like.

Where the provider gives no codes, a browser of this machine will do (pkgd.login.loopback).

pkgd asks its provider, so that nothing about that has to be known here.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from http.client import HTTPException
from threading import Event
from typing import Any, TextIO
from urllib.parse import urlencode

from attrs import frozen
from twisted.python import usage

from pkgd import __version__
from pkgd.errors import ConfigError
from pkgd.login.credentials import REFRESH, CredentialsFile, Login, server_name
from pkgd.login.loopback import Callback, Listening, Ticket
from pkgd.options import AnywhereOptions
from pkgd.prefetch.transport import HttpTransport, Server, Unreachable

__all__ = ["Browser", "LoginOptions", "log_in", "log_out", "run_login", "run_logout"]

MAX_ANSWER = 64 * 1024
# How long a browser of this machine may take.
HERE_SECONDS = 600.0
_LATE = "nobody has logged in in time"
_FORM = "application/x-www-form-urlencoded"


class LoginOptions(AnywhereOptions):
    """The command line of both commands."""

    synopsis = "[options] URL"
    longdesc = "URL is a pkgd whose users log in by a provider (auth.mode oidc), such as https://pkg.example.com."
    optParameters: list[Any] = [
        ["ca-file", None, None, "A PEM file with the certificates to trust instead of the system's."],
    ]

    def parseArgs(self, *given: str) -> None:
        """The server."""
        if len(given) != 1:
            raise usage.UsageError("give the URL of one pkgd")
        try:
            self["server"] = Server.parse(given[0] if "://" in given[0] else f"https://{given[0]}")
        except ConfigError as error:
            raise usage.UsageError(error.message) from error


@frozen
class Browser:
    """A pkgd, at `url`, as these commands ask it.

    `post` sends a form, `wait` lets seconds pass, `output` is for the user, `listen` is where a browser may come back.
    """

    url: str
    post: Callable[[str, dict[str, str]], tuple[int, dict[str, Any]]]
    wait: Callable[[float], None]
    output: TextIO
    listen: Callable[[], Callback]


def log_in(browser: Browser, server: str, file: CredentialsFile) -> None:
    """Log in, and keep what that gives.

    :raises ConfigError: if it cannot be done.
    """
    status, code = browser.post("/auth/device", {})
    if status == 400:
        # It has none.
        found = _log_in_here(browser)
    elif status != 200:
        raise ConfigError("", _why(status, code))
    else:
        place = code.get("verification_uri_complete") or code["verification_uri"]
        _say(browser, f"Open {_plain(place)}\nand see that it shows the code {_plain(code['user_code'])}")
        found = _await(browser, code)
    file.put(server, Login(REFRESH, str(found["refresh_token"]), str(found["user"])))
    print(f"{_plain(found['user'])} has logged in to {server}", file=browser.output)


def log_out(browser: Browser, server: str, file: CredentialsFile) -> None:
    """End what is kept of a server, here and there.

    :raises ConfigError: if it cannot be done.
    """
    login = file.read().get(server)
    if login is None:
        raise ConfigError("", f"nobody has logged in to {server}")
    if login.user == REFRESH:
        status, answer = browser.post("/auth/revoke", {"token": login.secret})
        if status != 200:
            raise ConfigError("", _why(status, answer))
    file.remove(server)


def run_login(options: Any) -> None:
    """`pkgd login`."""
    log_in(_browser(options), server_name(str(options["server"])), CredentialsFile.of_user(os.environ))


def run_logout(options: Any) -> None:
    """`pkgd logout`."""
    log_out(_browser(options), server_name(str(options["server"])), CredentialsFile.of_user(os.environ))


def _log_in_here(browser: Browser) -> dict[str, Any]:
    """Wait for a browser of this machine to come back."""
    try:
        callback = browser.listen()
    except OSError as error:
        raise ConfigError("", f"there is no port at which a browser could come back: {error.strerror}") from error
    ticket = Ticket.new()
    _say(browser, f"Open {ticket.page(browser.url, callback.port)}\nin a browser on this machine")
    code = callback.wait(ticket.code_in, HERE_SECONDS)
    if code is None:
        raise ConfigError("", _LATE)
    status, answer = browser.post("/auth/loopback/token", {"code": code, "code_verifier": ticket.verifier})
    if status != 200:
        raise ConfigError("", _why(status, answer))
    return answer


def _say(browser: Browser, text: str) -> None:
    print(text, file=browser.output)
    browser.output.flush()


def _await(browser: Browser, code: dict[str, Any]) -> dict[str, Any]:
    """Ask until somebody has logged in, or the code is over."""
    left, interval = float(code["expires_in"]), float(code["interval"])
    while left > 0:
        browser.wait(interval)
        left -= interval
        status, answer = browser.post("/auth/device/token", {"device_code": str(code["device_code"])})
        if status == 200:
            return answer
        match answer.get("error"):
            case "authorization_pending":
                pass
            case "slow_down":
                interval += 5
            case "access_denied":
                raise ConfigError("", "the login has been refused")
            case "expired_token":
                break
            case _:
                raise ConfigError("", _why(status, answer))
    raise ConfigError("", _LATE)


def _browser(options: Any) -> Browser:
    transport = HttpTransport.to(options["server"], options["ca-file"])

    def post(path: str, form: dict[str, str]) -> tuple[int, dict[str, Any]]:
        body = urlencode(form).encode("ascii")
        headers = {
            "Content-Type": _FORM,
            "Content-Length": str(len(body)),
            "User-Agent": f"pkgd-login/{__version__}",
        }
        try:
            answer = transport("POST", path, headers, [body])
            try:
                found = json.loads(answer.read(MAX_ANSWER))
            finally:
                answer.close()
        except Unreachable as error:
            raise ConfigError("URL", f"no connection: {error}") from error
        except (OSError, HTTPException, ValueError):
            raise ConfigError("URL", "it is no pkgd that answers there, or users don't log in by a provider") from None
        return answer.status, found if isinstance(found, dict) else {}

    waiting = Event()

    def wait(seconds: float) -> None:
        waiting.wait(seconds)

    return Browser(str(options["server"]), post, wait, sys.stdout, partial(Listening, time.monotonic))


def _why(status: int, answer: dict[str, Any]) -> str:
    """What an answer says has gone wrong."""
    if status == 404:
        return "users of this pkgd don't log in by a provider: make an API key, or use a password"
    try:
        message = str(answer["errors"][0]["message"])
    except (TypeError, LookupError):
        message = "it does not let anybody in"
    return f"{_plain(message)} ({status})"


def _plain(text: Any) -> str:
    """What a server says, without what would move the cursor."""
    return "".join(one if one.isprintable() else "?" for one in str(text))
