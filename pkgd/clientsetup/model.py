"""The words: the pkgd that a client is to know, and what it has to be told."""

from __future__ import annotations

from base64 import b64encode

from attrs import frozen

__all__ = ["Commands", "File", "Lines", "Login", "Part", "Target"]

PUBLIC, PRIVATE = 0o644, 0o600
# Whose name is not looked at: an API key stands in the password's place (docs/api-keys.md).
KEY_USER = "key"


@frozen
class Login:
    """Who logs in; without a secret, the texts have a word in its place."""

    user: str
    secret: str | None = None

    @property
    def password(self) -> str:
        """The secret, or what stands for it."""
        return self.secret or ("pkgd_..." if self.user == KEY_USER else "PASSWORD")

    @property
    def base64(self) -> str:
        """Both, as Basic (RFC 7617) and docker's files have them."""
        return b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@frozen
class Target:
    """The pkgd that is meant, as clients reach it.

    :param url: scheme, host, and a port where it is not the scheme's own.
    :param by_browser: whether people log in by a browser, `auth.mode: oidc`.
    :param falls_back: whether the registries themselves are asked where pkgd does not answer.
    """

    url: str
    login: Login | None = None
    by_browser: bool = False
    apt: str = "main"
    suite: str = "stable"
    rpm: str = "main"
    falls_back: bool = True

    @property
    def host(self) -> str:
        """Its name, and its port where it has one: how images and logins are named."""
        return self.url.partition("://")[2]

    @property
    def is_plain(self) -> bool:
        """Whether it speaks no TLS."""
        return self.url.startswith("http://")

    @property
    def mode(self) -> int:
        """The permissions of a file with the login in it."""
        return PRIVATE if self.login else PUBLIC


@frozen
class File:
    """A file that is this client's and pkgd's alone: it can be written as a whole."""

    path: str
    text: str
    mode: int = PUBLIC


@frozen
class Lines:
    """Lines for a file that has others, too."""

    path: str
    text: str


@frozen
class Commands:
    """What is typed, line by line."""

    text: str


Part = File | Lines | Commands
