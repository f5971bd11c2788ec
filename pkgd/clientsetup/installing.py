"""Writing a set-up's files where their clients look for them: whole or not at all, and nobody's else."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from contextlib import suppress

from pkgd.clientsetup.model import File
from pkgd.errors import ConfigError
from pkgd.secretfiles import file_errors, sync_directory

__all__ = ["install"]


def install(files: Sequence[File], force: bool = False, root: str = "") -> list[str]:
    """Write files, none of them if one is there already with another content.

    :param force: whether such a file is replaced.
    :param root: a directory that the paths are below.
    :returns: what has been done, a line for each file.
    :raises ConfigError: if a file is in the way, or cannot be written.
    """
    wanted = [(root + one.path, one) for one in files]
    as_they_are = {path for path, one in wanted if _is_there(path, one.text.encode(), force)}
    return [_write(path, one, path in as_they_are) for path, one in wanted]


def _is_there(path: str, data: bytes, force: bool) -> bool:
    with file_errors(path):
        try:
            with open(path, "rb") as file:
                found = file.read(len(data) + 1)
        except FileNotFoundError:
            return False
    if found != data and not force:
        raise ConfigError(path, "it is there already, with other lines; nothing was written (--force replaces it)")
    return found == data


def _write(path: str, wanted: File, is_there: bool) -> str:
    with file_errors(path):
        if is_there:
            os.chmod(path, wanted.mode)
            return f"{path} is as it should be"
        directory = os.path.dirname(path)
        os.makedirs(directory, mode=0o755, exist_ok=True)
        draft = f"{directory}/.{secrets.token_hex(8)}"
        try:
            _write_draft(draft, wanted)
            os.rename(draft, path)
        except OSError:
            with suppress(OSError):
                os.unlink(draft)
            raise
        sync_directory(directory)
    return f"wrote {path}"


def _write_draft(draft: str, wanted: File) -> None:
    fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with open(fd, "wb") as file:
        file.write(wanted.text.encode())
        file.flush()
        os.fchmod(fd, wanted.mode)
        os.fsync(fd)
