"""The file of users and bcrypt hashes that `htpasswd -B` writes: read strictly, read again when it changes."""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Mapping

from attrs import Factory, field, frozen

from pkgd.errors import ConfigError

__all__ = ["HtpasswdFile", "Table", "parse_htpasswd"]

SETTING = "auth.basic_htpasswd_file"
# Below, a stolen file is guessed too fast; above, one login takes seconds.
WEAK_COST = 10
COSTS = range(4, 15)

_BCRYPT = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{53}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_MAX_FILE = 16 << 20
_MAX_USER = 256
# Of no password: what is compared where there is no user.
_NOBODY = "$2b${cost:02}$" + "pkgdpkgdpkgdpkgdpkgdp." + "e" * 31


@frozen
class Table:
    """Users and their hashes."""

    hashes: Mapping[str, bytes] = field(default=Factory(dict), repr=False)
    weak: tuple[str, ...] = ()
    """Whose hashes cost less than `WEAK_COST`."""
    stamps: Mapping[str, str] = field(default=Factory(dict), repr=False)
    """What a token carries of a user's hash: it changes with it, and is of no use for guessing."""
    dummy: bytes = _NOBODY.format(cost=WEAK_COST).encode("ascii")
    """A hash that no password has, of the cost that most have."""


def parse_htpasswd(data: bytes, name: str) -> Table:
    """Read the file's lines: `user:hash`, empty ones, and comments.

    :param name: the file, for errors.
    :raises ConfigError: with the number of the line; a hash is never shown.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        number = data[: error.start].count(b"\n") + 1
        raise ConfigError(SETTING, f"{name}, line {number}: not UTF-8") from None
    hashes: dict[str, bytes] = {}
    costs: dict[str, int] = {}
    for number, line in enumerate(text.split("\n"), 1):
        line = line.rstrip("\r")
        if not line.strip() or line.startswith("#"):
            continue
        try:
            user, hashed, costs[user] = _parse_line(line, hashes)
        except ValueError as error:
            raise ConfigError(SETTING, f"{name}, line {number}: {error}") from None
        hashes[user] = hashed
    usual = Counter(costs.values()).most_common(1)[0][0] if costs else WEAK_COST
    weak = tuple(user for user, cost in costs.items() if cost < WEAK_COST)
    stamps = {user: hashlib.sha256(b"pkgd " + hashed).hexdigest()[:16] for user, hashed in hashes.items()}
    return Table(hashes, weak, stamps, _NOBODY.format(cost=usual).encode("ascii"))


def _parse_line(line: str, known: Mapping[str, bytes]) -> tuple[str, bytes, int]:
    """A user, the hash and its cost."""
    user, colon, hashed = line.partition(":")
    match = _BCRYPT.fullmatch(hashed)
    if not colon or not user or len(user) > _MAX_USER or _CONTROL.search(user):
        raise ValueError("user:hash is needed")
    if match is None:
        raise ValueError("the hash is not bcrypt's: htpasswd -B makes it")
    if int(match[1]) not in COSTS:
        raise ValueError(f"bcrypt's cost is {int(match[1])}, and from {COSTS[0]} to {COSTS[-1]} are accepted")
    if user in known:
        raise ValueError("the user is given twice")
    return user, hashed.encode("ascii"), int(match[1])


class HtpasswdFile:
    """The file, looked at by its size, time and inode: a Kubernetes secret changes as a symbolic link does. Blocks."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._seen: tuple[int, int, int, int] | None = None

    def read(self) -> Table:
        """What is in it now.

        :raises ConfigError: if it cannot be used.
        """
        self._seen = None
        try:
            with open(self.path, "rb") as file:
                seen = os.fstat(file.fileno())
                data = file.read(_MAX_FILE + 1)
        except OSError as error:
            raise ConfigError(SETTING, f"{self.path} cannot be read: {error.strerror}") from error
        # Also if what is in it cannot be used: it is complained about once, and read again when it has changed.
        self._seen = (seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns)
        if len(data) > _MAX_FILE:
            raise ConfigError(SETTING, f"{self.path} is larger than {_MAX_FILE >> 20} MiB")
        return parse_htpasswd(data, self.path)

    def read_if_changed(self) -> Table | None:
        """What is in it now, or None if it is the same file as before.

        :raises ConfigError: as `read`, once for each change.
        """
        try:
            now = os.stat(self.path)
        except OSError as error:
            if self._seen is None:
                return None
            self._seen = None
            raise ConfigError(SETTING, f"{self.path} cannot be read: {error.strerror}") from error
        if (now.st_dev, now.st_ino, now.st_size, now.st_mtime_ns) == self._seen:
            return None
        return self.read()
