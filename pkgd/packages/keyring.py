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
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from attrs import frozen

from pkgd.errors import ConfigError, InvalidKey
from pkgd.formats.openpgp import PrivateKey, generate_key, read_private_key

__all__ = ["DEFAULT_ALGORITHM", "KeyRing", "StoredKey", "default_user_id", "read_passphrase", "read_secret_file"]

DEFAULT_ALGORITHM = "rsa3072"
_NAME = re.compile(r"(signing|retired)-([0-9a-f]{40})\.asc")
_MAX_SECRET = 1 << 20
_MAX_PASSPHRASE = 4096
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


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
        with _file_errors(self._directory):
            self._make()
            self._write(f"signing-{key.fingerprint}.asc", data)

    def retire(self, fingerprint: str) -> None:
        """Let a key sign no longer, durably; it is kept."""
        active = [key.fingerprint for key in self.active()]
        if fingerprint not in active:
            raise ConfigError(fingerprint, "no such key signs")
        if len(active) == 1:
            raise ConfigError(fingerprint, "it is the only key that signs")
        source, target = (f"{self._directory}/{kind}-{fingerprint}.asc" for kind in ("signing", "retired"))
        with _file_errors(self._directory):
            os.rename(source, target)
            _sync(self._directory)

    def _names(self) -> list[str]:
        """What is in the directory, once it is known that nobody else can put anything there."""
        with _file_errors(self._directory):
            try:
                found = os.stat(self._directory)
            except FileNotFoundError:
                return []
            _check(self._directory, found, "700")
            return os.listdir(self._directory)

    def _make(self) -> None:
        """Make the directory, durably."""
        parent = os.path.dirname(self._directory)
        os.makedirs(parent, mode=0o750, exist_ok=True)
        with suppress(FileExistsError):
            os.mkdir(self._directory, 0o700)
            if os.geteuid() == 0:  # whom the state belongs to, the keys do
                owner = os.stat(parent)
                os.chown(self._directory, owner.st_uid, owner.st_gid)
        _sync(parent)

    def _read(self, name: str, match: re.Match[str]) -> StoredKey:
        path = f"{self._directory}/{name}"
        try:
            key = read_private_key(read_secret_file(path), self._passphrase)
        except InvalidKey as error:
            raise ConfigError(path, error.message) from error
        if key.fingerprint != match[2]:
            raise ConfigError(path, f"it holds another key, {key.fingerprint}")
        with _file_errors(path):
            since = os.stat(path).st_mtime_ns
        return StoredKey(key, match[1] == "signing", since)

    def _write(self, name: str, data: bytes) -> None:
        """Write a file whole or not at all, durably; nobody else can open it at any time."""
        draft = f"{self._directory}/.{secrets.token_hex(8)}"
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            try:
                if os.geteuid() == 0:
                    owner = os.stat(self._directory)
                    os.fchown(fd, owner.st_uid, owner.st_gid)
                rest = memoryview(data)
                while rest:
                    rest = rest[os.write(fd, rest) :]
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(draft, f"{self._directory}/{name}")
        except OSError:
            os.unlink(draft)
            raise
        _sync(self._directory)


def default_user_id() -> str:
    """The user name of a key that is made by itself."""
    return f"pkgd signing key {socket.gethostname()}"


def read_secret_file(path: str, limit: int = _MAX_SECRET) -> bytes:
    """Read a file that only we may read.

    :raises ConfigError: if it cannot be read, or others may.
    """
    with _file_errors(path):
        # A pipe would hold up the start until somebody writes to it.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(path, "it is no regular file")
            _check(path, found, "600")
            data = file.read(limit + 1)
    if len(data) > limit:
        raise ConfigError(path, f"it has more than {limit} bytes")
    return data


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


@contextmanager
def _file_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(error.filename or path, error.strerror or str(error)) from error


def _check(path: str, found: os.stat_result, mode: str) -> None:
    """See that nobody else may read it or put something in its place."""
    if found.st_mode & _OTHERS:
        raise ConfigError(path, f"others may use it: chmod {mode} it")
    if found.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
        raise ConfigError(path, "it belongs to another user")


def _sync(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
