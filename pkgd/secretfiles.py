"""Files that nobody else may read, and directories of them: refused where others could, written whole and durably.

All of this blocks.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress

from pkgd.errors import ConfigError

__all__ = [
    "check_private",
    "file_errors",
    "make_secret_directory",
    "may_be_used_by_others",
    "read_secret_file",
    "sync_directory",
    "write_secret_file",
]

_MAX_SECRET = 1 << 20
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def read_secret_file(path: str, limit: int = _MAX_SECRET) -> bytes:
    """Read a file that only we may read.

    :param limit: how many bytes it may have.
    :raises ConfigError: if it cannot be read, or others may.
    """
    with file_errors(path):
        # A pipe would hold up the start until somebody writes to it.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(fd, "rb") as file:
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ConfigError(path, "it is no regular file")
            check_private(path, found, "600")
            data = file.read(limit + 1)
    if len(data) > limit:
        raise ConfigError(path, f"it has more than {limit} bytes")
    return data


def write_secret_file(directory: str, name: str, data: bytes) -> None:
    """Write a file whole or not at all, durably; nobody else can open it at any time.

    :raises OSError: if that cannot be.
    """
    draft = f"{directory}/.{secrets.token_hex(8)}"
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            if os.geteuid() == 0:
                owner = os.stat(directory)
                os.fchown(fd, owner.st_uid, owner.st_gid)
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(fd, rest) :]
            os.fsync(fd)
        finally:
            os.close(fd)
        os.rename(draft, f"{directory}/{name}")
    except OSError:
        os.unlink(draft)
        raise
    sync_directory(directory)


def make_secret_directory(path: str) -> None:
    """Make a directory that nobody else can look into, durably, if it is not there yet.

    :raises OSError: if that cannot be.
    """
    parent = os.path.dirname(path)
    os.makedirs(parent, mode=0o750, exist_ok=True)
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
        if os.geteuid() == 0:  # whom the state belongs to, the keys do
            owner = os.stat(parent)
            os.chown(path, owner.st_uid, owner.st_gid)
    sync_directory(parent)


def check_private(path: str, found: os.stat_result, mode: str) -> None:
    """See that nobody else may read it or put something in its place.

    :param mode: what it should have, in octal, for the error.
    :raises ConfigError: if others may.
    """
    if may_be_used_by_others(found, (os.geteuid(), os.getegid(), *os.getgroups())):
        raise ConfigError(path, f"others may use it: chmod {mode} it")
    if found.st_uid not in (0, os.geteuid()) and os.geteuid() != 0:
        raise ConfigError(path, "it belongs to another user")


def may_be_used_by_others(found: os.stat_result, ours: Collection[int]) -> bool:
    """Whether anybody but root and we may use a file.

    :param ours: the numbers of our user and groups.
    """
    others = _OTHERS
    if found.st_uid == found.st_gid == 0 and 0 not in ours:
        # Root's, of root's group, and mode 440: we may read it by an access control list, of which the group's bit is
        # the mask. So systemd hands credentials to a service (systemd.exec(5), LoadCredential).
        others &= ~stat.S_IRGRP
    return bool(found.st_mode & others)


def sync_directory(path: str) -> None:
    """Make durable which names a directory has.

    :raises OSError: if that cannot be.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def file_errors(path: str) -> Iterator[None]:
    """What the system refuses is said as an error of the configuration.

    :raises ConfigError: with the file that it is about.
    """
    try:
        yield
    except OSError as error:
        raise ConfigError(error.filename or path, error.strerror or str(error)) from error
