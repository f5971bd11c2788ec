"""pkgd from this checkout, whose `auth.mode` can be changed between two starts; and what is asked of it."""

from __future__ import annotations

import hashlib
import http.client
import sys
from base64 import b64encode
from collections.abc import Mapping
from pathlib import Path

import bcrypt
from attrs import frozen

from tests.crash.server import Pkgd

__all__ = ["PASSWORD", "USER", "Answer", "ModalPkgd", "basic", "digests"]

USER, PASSWORD = "alice", "correct-horse-battery-staple"
# What belongs to one start of the daemon, or is derived from the tree.
_NOT_STORAGE = ("pkgd.lock", "index.sqlite", "oci/__spool__", "spool", "token-keys", "pkgd.sqlite")
# Headers that are about the content.
_HEADERS = ("content-type", "content-length", "docker-content-digest", "etag", "link", "last-modified", "cache-control")


@frozen
class Answer:
    """What a client gets."""

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes


class ModalPkgd(Pkgd):
    """See the module."""

    mode = "none"
    oidc: Mapping[str, object] = {}
    """The section of the provider, which is there in every mode."""

    def command(self) -> list[str]:
        """As pkgd's, but always from this checkout."""
        return [sys.executable, "-m", "pkgd", *super().command()[-3:]]

    def configuration(self) -> dict[str, object]:
        """The same for every mode, but for that one key."""
        users = self._logs / "users"
        if not users.exists():
            users.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(5)).decode()}\n")
        return {
            **super().configuration(),
            "server": {"listen": [f"tcp:{self.port}:interface=127.0.0.1"], "external_url": self.url},
            "auth": {"mode": self.mode, "basic_htpasswd_file": str(users), "oidc": self.oidc},
            "signing": {"keys": {"default": {"algorithm": "ed25519"}}},
            "logging": {"access": {"file": "-"}, "audit": {"file": str(self._logs / "audit.log")}},
        }

    @property
    def url(self) -> str:
        """How it is reached."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def audit(self) -> Path:
        """The audit log."""
        return self._logs / "audit.log"

    def ask(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """One request, and its answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, target, body or None, headers or {})
            response = connection.getresponse()
            told = tuple((name, value) for name in _HEADERS if (value := response.getheader(name)) is not None)
            return Answer(response.status, told, response.read())
        finally:
            connection.close()


def basic(user: str = USER, password: str = PASSWORD) -> dict[str, str]:
    """The header with a name and a password."""
    return {"Authorization": "Basic " + b64encode(f"{user}:{password}".encode()).decode("ascii")}


def digests(state: Path) -> dict[str, str]:
    """Every file of the storage with the hash of its bytes, and its mode."""
    found = {}
    for path in sorted(state.rglob("*")):
        name = path.relative_to(state).as_posix()
        if path.is_file() and not name.startswith(_NOT_STORAGE):
            found[name] = f"{path.stat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
    return found
