"""Files for the owner's eyes only: keys. Written once, durably, with mode 0600, in a directory with 0700."""

from __future__ import annotations

import os
import secrets as randomness
from contextlib import suppress

from pkgd.errors import FailedStorage
from pkgd.storage.fsops import storage_errors

__all__ = ["create_secret", "read_secret"]

# More is no key but the wrong file.
LIMIT = 1 << 20


def read_secret(path: str) -> bytes | None:
    """A file's content, or None if there is none. Blocks.

    :raises Storage: if it cannot be read, or is far too large.
    """
    with storage_errors():
        try:
            with open(path, "rb") as file:
                data = file.read(LIMIT + 1)
        except FileNotFoundError:
            return None
    if len(data) > LIMIT:
        raise FailedStorage(f"read {path}: too large for a key")
    return data


def create_secret(path: str, data: bytes) -> None:
    """Write a file that is not there yet; it appears whole, and survives a power cut. Blocks.

    :raises Storage: if it cannot be written.
    """
    directory = os.path.dirname(path)
    temporary = f"{path}.{randomness.token_hex(8)}"
    with storage_errors():
        os.makedirs(directory, mode=0o700, exist_ok=True)
        try:
            fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.write(fd, data)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.rename(temporary, path)
        except OSError:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        for one in (directory, os.path.dirname(directory)):
            fd = os.open(one, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(fd)
            finally:
                os.close(fd)
