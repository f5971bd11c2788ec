"""`docker-credential-pkgd`: what docker, podman and others ask for credentials (docker's `credential-helpers`).

    get, erase: the server on standard input;  store: {"ServerURL", "Username", "Secret"};  list: {server: user}

After `pkgd login`, `get` answers with a refresh token, which these tools take to the token service.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO

from pkgd.errors import PkgdError
from pkgd.login.credentials import CredentialsFile, Login, server_name

__all__ = ["answer", "main"]

# What docker knows this by.
NOT_FOUND = "credentials not found in native keychain"
MAX_INPUT = 64 * 1024


def main() -> int:
    """Answer one question; returns the exit status."""
    arguments = sys.argv[1:]
    action = arguments[0] if len(arguments) == 1 else ""
    return answer(action, CredentialsFile.of_user(os.environ), sys.stdin, sys.stdout)


def answer(action: str, file: CredentialsFile, source: TextIO, output: TextIO) -> int:
    """Do what is asked. What goes wrong is said on standard output, where docker reads it."""
    try:
        said = _do(action, file, source)
    except PkgdError as error:
        print(error.message, file=output)
        return 1
    if said is None:
        print(NOT_FOUND, file=output)
        return 1
    print(said, end="", file=output)
    return 0


def _do(action: str, file: CredentialsFile, source: TextIO) -> str | None:
    match action:
        case "get":
            server = source.read(MAX_INPUT).strip()
            login = file.read().get(server_name(server))
            if login is None:
                return None
            return json.dumps({"ServerURL": server, "Username": login.user, "Secret": login.secret}) + "\n"
        case "store":
            return _store(file, source.read(MAX_INPUT))
        case "erase":
            file.remove(server_name(source.read(MAX_INPUT)))
            return ""
        case "list":
            return json.dumps({f"https://{name}": one.user for name, one in file.read().items()}) + "\n"
        case _:
            return "usage: docker-credential-pkgd get|store|erase|list\n"


def _store(file: CredentialsFile, text: str) -> str | None:
    try:
        given = json.loads(text)
        server, user, secret = (str(given[name]) for name in ("ServerURL", "Username", "Secret"))
    except (ValueError, LookupError, TypeError):
        return None
    file.put(server_name(server), Login(user, secret))
    return ""


if __name__ == "__main__":
    sys.exit(main())
