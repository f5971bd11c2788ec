"""The signing keys on disk: `state_dir/keys`, which nobody else may read.

```
keys/                      0700
  signing-<fingerprint>.asc   0600, a secret key that signs
  retired-<fingerprint>.asc   0600, one that signed
```

Keys are rotated by letting two sign for a while: a client that knows either of them is content. All of this blocks.
"""

from __future__ import annotations

import os
import re
import secrets
import socket

from attrs import frozen

from pkgd.errors import ConfigError, InvalidKey
from pkgd.formats.openpgp import PrivateKey, generate_key, read_private_key
from pkgd.secretfiles import (
    check_private,
    file_errors,
    make_secret_directory,
    read_secret_file,
    sync_directory,
    write_secret_file,
)

__all__ = ["DEFAULT_ALGORITHM", "KeyRing", "StoredKey", "default_user_id", "read_passphrase"]

DEFAULT_ALGORITHM = "rsa3072"
_NAME = re.compile(r"(signing|retired)-([0-9a-f]{40})\.asc")
_MAX_PASSPHRASE = 4096


@frozen
class StoredKey:
    """A key, whether it is one of those that sign, and since when it is here, by its file's time."""

    key: PrivateKey
    is_active: bool
    since: int


class KeyRing:
    """The keys in one directory; every method raises `ConfigError` if a file cannot be used, or others may read it."""

    def __init__(self, directory: str, passphrase: str | None = None) -> None:
        """
        :param passphrase: what the keys are protected by, besides the files' modes.
        """
        self._directory = directory
        self._passphrase = passphrase

    def stored(self) -> list[StoredKey]:
        """Every key, those first that have been here longest: clients know them, however old the others are."""
        found = [self._read(name, match) for name in self._names() if (match := _NAME.fullmatch(name)) is not None]
        return sorted(found, key=lambda one: (one.since, one.key.created, one.key.fingerprint))

    def active(self) -> list[PrivateKey]:
        """The keys that sign, in the same order."""
        return [one.key for one in self.stored() if one.is_active]

    def ensure(self, user_id: str, now: int, algorithm: str = DEFAULT_ALGORITHM) -> list[PrivateKey]:
        """The keys that sign; one is made if there is none yet."""
        return self.active() or [self.generate(user_id, now, algorithm)]

    def generate(self, user_id: str, now: int, algorithm: str = DEFAULT_ALGORITHM) -> PrivateKey:
        """Make one more key that signs.

        :raises InvalidKey: if there is no such algorithm, or the user name cannot be used.
        """
        key = generate_key(algorithm, user_id, now)
        self.add(key)
        return key

    def add(self, key: PrivateKey) -> None:
        """Keep one more key that signs, durably."""
        if any(one.key.fingerprint == key.fingerprint for one in self.stored()):
            raise ConfigError(key.fingerprint, "this key is there already")
        data = key.export(self._passphrase, secrets.token_bytes(8), secrets.token_bytes(16))
        with file_errors(self._directory):
            make_secret_directory(self._directory)
            write_secret_file(self._directory, f"signing-{key.fingerprint}.asc", data)

    def retire(self, fingerprint: str) -> None:
        """Let a key sign no longer, durably; it is kept."""
        active = [key.fingerprint for key in self.active()]
        if fingerprint not in active:
            raise ConfigError(fingerprint, "no such key signs")
        if len(active) == 1:
            raise ConfigError(fingerprint, "it is the only key that signs")
        source, target = (f"{self._directory}/{kind}-{fingerprint}.asc" for kind in ("signing", "retired"))
        with file_errors(self._directory):
            os.rename(source, target)
            sync_directory(self._directory)

    def _names(self) -> list[str]:
        """What is in the directory, once it is known that nobody else can put anything there."""
        with file_errors(self._directory):
            try:
                found = os.stat(self._directory)
            except FileNotFoundError:
                return []
            check_private(self._directory, found, "700")
            return os.listdir(self._directory)

    def _read(self, name: str, match: re.Match[str]) -> StoredKey:
        path = f"{self._directory}/{name}"
        try:
            key = read_private_key(read_secret_file(path), self._passphrase)
        except InvalidKey as error:
            raise ConfigError(path, error.message) from error
        if key.fingerprint != match[2]:
            raise ConfigError(path, f"it holds another key, {key.fingerprint}")
        with file_errors(path):
            since = os.stat(path).st_mtime_ns
        return StoredKey(key, match[1] == "signing", since)


def default_user_id() -> str:
    """The user name of a key that is made by itself."""
    return f"pkgd signing key {socket.gethostname()}"


def read_passphrase(path: str) -> str:
    """The first line of a file that only we may read.

    :raises ConfigError: if it cannot be read, or others may, or it is empty.
    """
    line = read_secret_file(path, _MAX_PASSPHRASE).split(b"\n")[0].removesuffix(b"\r")
    try:
        passphrase = line.decode("utf-8")
    except UnicodeDecodeError:
        raise ConfigError(path, "it is not UTF-8") from None
    if not passphrase:
        raise ConfigError(path, "its first line is empty")
    return passphrase
