"""The option `--credentials` of commands that log in to a running pkgd: a file, so that no list of processes has it."""

from __future__ import annotations

import sys
from base64 import b64encode
from collections.abc import Callable
from typing import Any

from pkgd.errors import ConfigError

__all__ = ["CREDENTIALS", "basic", "read_credentials"]

MAX_CREDENTIALS = 64 << 10

CREDENTIALS: list[Any] = [
    "credentials",
    None,
    None,
    "A file with user:password, or key:API-KEY, in its first line; - is standard input.",
]


def read_credentials(path: str, source: Callable[[], str] = sys.stdin.readline) -> str:
    """What such a file has, `user:password`.

    :param source: gives the first line of standard input.
    :raises ConfigError: if it has none.
    """
    if path == "-":
        line = source()
    else:
        try:
            with open(path, encoding="utf-8") as file:
                line = file.readline(MAX_CREDENTIALS)
        except (OSError, UnicodeDecodeError):
            raise ConfigError("--credentials", f"{path} cannot be read") from None
    if ":" not in line:
        raise ConfigError("--credentials", "user:password is needed")
    return line.rstrip("\r\n")


def basic(path: str | None) -> str | None:
    """The header `Authorization` (RFC 7617) for what the file has, if one is given.

    :raises ConfigError: if it has none.
    """
    return None if path is None else "Basic " + b64encode(read_credentials(path).encode("utf-8")).decode("ascii")
