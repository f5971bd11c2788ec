"""The other end of the admin socket, for commands: no reactor, one command, and patience."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterable, Mapping
from typing import Any

from pkgd.admin.lines import MAX_PATH, SOCKET, encode
from pkgd.errors import CommandFailed
from pkgd.progress import Progress

__all__ = ["ask"]


def ask(state_dir: str, command: str, arguments: Mapping[str, Any], progress: Progress) -> dict[str, Any]:
    """Have the daemon that runs on a state directory do something; returns the result.

    :raises CommandFailed: if it cannot be asked, or says that it cannot be done.
    """
    path = os.path.join(state_dir, SOCKET)
    if len(os.fsencode(path)) > MAX_PATH:
        raise CommandFailed(f"pkgd runs, and has no admin socket: the path {path} is longer than {MAX_PATH} bytes")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        try:
            connection.connect(path)
            connection.sendall(encode({"command": command, "arguments": dict(arguments)}))
            with connection.makefile("rb") as answer:
                return _follow(answer, progress)
        except OSError as error:
            raise CommandFailed(f"pkgd runs, and cannot be asked over {path}: {error.strerror or error}") from error


def _follow(answer: Iterable[bytes], progress: Progress) -> dict[str, Any]:
    """What the lines end with; progress is passed on.

    :raises CommandFailed: if they say so, or end too early.
    """
    what, done = None, 0
    for line in answer:
        try:
            document = json.loads(line)
        except ValueError:
            break
        if "error" in document:
            raise CommandFailed(str(document["error"]))
        if "result" in document:
            return dict(document["result"])
        step = document.get("progress", {})
        if (step["what"], step["total"]) != what or step["done"] < done:
            what, done = (step["what"], step["total"]), 0
            progress.begin(*what)
        progress.advance(step["done"] - done)
        done = step["done"]
    raise CommandFailed("pkgd has stopped before it was done")
