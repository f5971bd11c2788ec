"""The command `pkgd k8s-credential-provider`: the kubelet's exec plugin for credentials of a registry.

    {"apiVersion": "credentialprovider.kubelet.k8s.io/v1", "kind": "CredentialProviderRequest", "image": "HOST/NAME"}

comes on standard input, and a `CredentialProviderResponse` goes to standard output (Kubernetes: Kubelet
CredentialProvider v1). The password is the pod's service account token, where the kubelet sends one (KEP-4412), or else
the node's API key. Whom the kubelet gives it to is up to the kubelet's `matchImages`.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any, BinaryIO

from twisted.python import usage

from pkgd.auth.secrettexts import read_key
from pkgd.errors import ConfigError

__all__ = ["CredentialProviderOptions", "answer", "run"]

API_VERSION = "credentialprovider.kubelet.k8s.io/v1"

# A request has a token, of at most 12 KiB, and annotations, which Kubernetes limits to 256 KiB.
MAX_REQUEST = 1 << 20
MAX_KEY_FILE = 4096

# Without globs, which the kubelet would understand in the response.
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?", re.ASCII)


class CredentialProviderOptions(usage.Options):
    """The command line, which is in the kubelet's CredentialProviderConfig."""

    longdesc = "Answers one CredentialProviderRequest on standard input; for the kubelet (docs/api-keys.md)."
    optParameters: list[Any] = [
        ["key-file", None, None, "A file with an API key in its first line, for pods whose token is not sent."],
    ]


def run(options: Any, source: BinaryIO | None = None) -> None:
    """Answer on standard output.

    :param source: what the kubelet says; by default standard input.
    :raises ConfigError: if it is no request, or there is no key in the file.
    """
    request = (source or sys.stdin.buffer).read(MAX_REQUEST + 1)
    print(json.dumps(answer(request, options["key-file"])))


def answer(request: bytes, key_file: str | None) -> dict[str, Any]:
    """The response to a request; without credentials if there are neither a token nor a file.

    :raises ConfigError: as `run`.
    """
    given = _parse(request)
    host, token = _host(given), _token(given)
    response: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": "CredentialProviderResponse",
        "cacheKeyType": "Registry",
    }
    if token is not None:
        # It ends earlier than the kubelet would forget it, which has a new one for every question.
        return {**response, "cacheDuration": "0s", "auth": {host: {"username": "serviceaccount", "password": token}}}
    if key_file is not None:
        return {**response, "auth": {host: {"username": "key", "password": _key(key_file)}}}
    return {**response, "auth": None}


def _parse(request: bytes) -> dict[str, Any]:
    if len(request) > MAX_REQUEST:
        raise _bad("it is too long")
    try:
        given = json.loads(request)
    except (ValueError, RecursionError):
        # No cause is passed on: it may have a token in it.
        raise _bad("it is no JSON") from None
    if not isinstance(given, dict) or given.get("kind") != "CredentialProviderRequest":
        raise _bad("it is no CredentialProviderRequest")
    if given.get("apiVersion") != API_VERSION:
        raise _bad(f"its apiVersion is not {API_VERSION}")
    return given


def _host(given: dict[str, Any]) -> str:
    """The registry's host and port; the kubelet's image names always have one."""
    image = given.get("image")
    host, slash, _ = image.partition("/") if isinstance(image, str) else ("", "", "")
    if not slash or _HOST.fullmatch(host) is None:
        raise _bad("its image has no registry")
    return host


def _token(given: dict[str, Any]) -> str | None:
    """The pod's token; the kubelet leaves the field out, or empty, where it sends none."""
    token = given.get("serviceAccountToken", "")
    if not isinstance(token, str):
        raise _bad("its serviceAccountToken is no text")
    return token or None


def _key(path: str) -> str:
    try:
        with open(path, encoding="ascii") as file:
            line = file.readline(MAX_KEY_FILE).strip()
    except (OSError, UnicodeDecodeError):
        raise ConfigError("--key-file", f"{path} cannot be read") from None
    if read_key(line) is None:
        raise ConfigError("--key-file", f"there is no API key in the first line of {path}")
    return line


def _bad(reason: str) -> ConfigError:
    return ConfigError("standard input", reason)
