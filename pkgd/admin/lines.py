"""What goes over the admin socket: JSON, a document a line.

    →  {"command": "gc", "arguments": {"apply": true}}
    ←  {"progress": {"what": "team/app", "done": 3, "total": 10}}         any number of these
    ←  {"result": {…}}                                                    or {"error": "one sentence"}

One command a connection. Whoever closes it gives up waiting, and what he has asked for ends early.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from attrs import frozen

from pkgd.errors import InvalidRequest

__all__ = ["MAX_PATH", "MAX_REQUEST", "SOCKET", "Command", "encode", "parse_command"]

# Its name in the state directory.
SOCKET = "admin.sock"
# How long the path of a socket may be: `sun_path` has 108 bytes, one of them for the end.
MAX_PATH = 107
# The longest line that is a command.
MAX_REQUEST = 64 * 1024


@frozen
class Command:
    """What the daemon is asked to do."""

    name: str
    arguments: Mapping[str, Any]


def encode(document: Mapping[str, Any]) -> bytes:
    """A line."""
    return json.dumps(document).encode() + b"\n"


def parse_command(line: bytes) -> Command:
    """What a client's line asks for.

    :raises InvalidRequest: if it is none.
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("command", "it is not JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("command"), str):
        raise InvalidRequest("command", "it names no command")
    arguments = document.get("arguments", {})
    if not isinstance(arguments, dict):
        raise InvalidRequest("arguments", "they are no mapping")
    return Command(document["command"], arguments)
