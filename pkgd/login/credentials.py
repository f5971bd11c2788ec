"""The file of what this user has logged in to: `~/.config/pkgd/credentials.json`, for him alone.

By the server's name, as docker calls it: `pkg.example.com`, or with a port. It is replaced whole.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from urllib.parse import urlsplit

from attrs import field, frozen

from pkgd.errors import ConfigError

__all__ = ["REFRESH", "CredentialsFile", "Login", "server_name"]

# What docker calls the user whose secret is a refresh token (docker's `credential-helpers`).
REFRESH = "<token>"
MAX_FILE = 4 << 20


@frozen
class Login:
    """What is kept for one server; `user` is `REFRESH` where the secret is a refresh token, and `name` whose it is."""

    user: str
    secret: str = field(repr=False)
    name: str = ""


class CredentialsFile:
    """The file at `path`. Every method raises `ConfigError` if it cannot do it."""

    def __init__(self, path: str) -> None:
        self._path = path

    @classmethod
    def of_user(cls, environment: Mapping[str, str]) -> CredentialsFile:
        """Where it is for whoever runs this (XDG base directories)."""
        base = environment.get("XDG_CONFIG_HOME") or os.path.join(environment.get("HOME") or os.getcwd(), ".config")
        return cls(os.path.join(base, "pkgd", "credentials.json"))

    def read(self) -> dict[str, Login]:
        """All that is kept, by the server's name."""
        try:
            with open(self._path, "rb") as file:
                found = json.loads(file.read(MAX_FILE))
            return {str(name): Login(one["user"], one["secret"], one.get("name", "")) for name, one in found.items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, LookupError, TypeError):
            # No cause is passed on: it may have a secret in it.
            raise ConfigError(self._path, "what is in it cannot be read") from None

    def put(self, server: str, login: Login) -> None:
        """Keep something for a server."""
        self._write({**self.read(), server: login})

    def remove(self, server: str) -> Login | None:
        """Keep nothing for a server; returns what there was."""
        kept = self.read()
        found = kept.pop(server, None)
        if found is not None:
            self._write(kept)
        return found

    def _write(self, logins: Mapping[str, Login]) -> None:
        data = {name: {"user": one.user, "secret": one.secret, "name": one.name} for name, one in logins.items()}
        new = f"{self._path}.{secrets.token_hex(8)}"
        try:
            os.makedirs(os.path.dirname(self._path), mode=0o700, exist_ok=True)
            file = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600)
            try:
                with os.fdopen(file, "w", encoding="utf-8") as text:
                    json.dump(data, text, indent=2)
                    text.flush()
                    os.fsync(file)
                os.replace(new, self._path)
            except OSError:
                with suppress(OSError):
                    os.unlink(new)
                raise
        except OSError as error:
            raise ConfigError(self._path, f"it cannot be written: {error.strerror}") from error


def server_name(text: str) -> str:
    """What docker and we call a server, however it is written: without scheme, path, and the scheme's own port."""
    rest = text.strip()
    if "://" in rest:
        parts = urlsplit(rest)
        own = ":80" if parts.scheme == "http" else ":443"
        return parts.netloc.rpartition("@")[2].lower().removesuffix(own)
    return rest.partition("/")[0].lower().removesuffix(":443")
