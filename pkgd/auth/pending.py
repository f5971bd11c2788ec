"""Logins under way: what has to come back with a browser, and device codes that somebody waits for.

In memory only: who is interrupted by a restart begins again. There are only so many; the oldest go first.
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from attrs import field, frozen

from pkgd.auth.model import Identity
from pkgd.auth.secrettexts import digest_of, new_secret

__all__ = [
    "BrowserLogin",
    "DeviceLogin",
    "LoopbackCode",
    "LoopbackLogin",
    "Pending",
    "challenge_of",
    "new_browser_login",
]

T = TypeVar("T")

MAX_PENDING = 10_000


class Pending(Generic[T]):
    """Things by a text that nobody can guess, each for some time."""

    def __init__(self, seconds: float, now: Callable[[], float]) -> None:
        self._seconds = seconds
        self._now = now
        self._kept: OrderedDict[str, tuple[float, T]] = OrderedDict()

    def add(self, text: str, thing: T) -> None:
        """Keep something."""
        self._kept[text] = (self._now(), thing)
        if len(self._kept) > MAX_PENDING:
            self._kept.popitem(last=False)

    def find(self, text: str) -> T | None:
        """What is kept by a text."""
        since, thing = self._kept.get(text, (0.0, None))
        if thing is None or not 0 <= self._now() - since < self._seconds:
            self._kept.pop(text, None)
            return None
        return thing

    def take(self, text: str) -> T | None:
        """What is kept by a text, for the last time."""
        found = self.find(text)
        self._kept.pop(text, None)
        return found


@frozen
class LoopbackLogin:
    """A command that waits at a port of the browser's own machine (RFC 8252, 7.3).

    `state` is what it knows its browser by, `challenge` what it will show the verifier of (RFC 7636).
    """

    port: int
    state: str
    challenge: str


@frozen
class LoopbackCode:
    """What the code that such a command gets is good for: once, for who has the verifier."""

    identity: Identity
    challenge: str

    def is_by(self, verifier: str) -> bool:
        """Whether it is the command that has begun."""
        return hmac.compare_digest(self.challenge, challenge_of(verifier))


@frozen
class BrowserLogin:
    """One that has been sent to the provider.

    `browser` is the digest of what its cookie has: a code that comes by another browser is somebody else's.
    `verifier` is that of PKCE (RFC 7636); `target` is where it goes afterwards, a path of ours. `loopback` is the
    command for which it logs in instead, if it does.
    """

    nonce: str
    verifier: str = field(repr=False)
    browser: bytes
    target: str
    loopback: LoopbackLogin | None = None

    def is_by(self, cookie: str | None) -> bool:
        """Whether it is the same browser."""
        return cookie is not None and hmac.compare_digest(self.browser, digest_of(cookie))


@frozen
class DeviceLogin:
    """A code of the provider's: it may be asked about once in `interval` seconds, and was so when it was `asked`."""

    code: str = field(repr=False)
    interval: float
    asked: float


def new_browser_login(cookie: str, target: str, loopback: LoopbackLogin | None = None) -> BrowserLogin:
    """One of a browser that has got a cookie."""
    return BrowserLogin(new_secret(), new_secret(), digest_of(cookie), target, loopback)


def challenge_of(verifier: str) -> str:
    """What the provider is shown of the verifier (RFC 7636, 4.2, S256)."""
    digest = hashlib.sha256(verifier.encode("ascii")).digest()
    return urlsafe_b64encode(digest).decode("ascii").rstrip("=")
