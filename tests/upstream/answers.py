"""How an honest registry answers: a pure function from a request and what is on the shelves to a reply."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.crash.content import INDEX_TYPE
from tests.upstream.content import Shelf, listing
from tests.upstream.exchange import Asked, Reply

_RANGE = re.compile(r"bytes=(\d+)-(\d*)")
_PATH = re.compile(r"/v2/(?P<name>.+)/(?P<part>manifests|blobs|referrers)/(?P<reference>[^/]+)")


@dataclass(frozen=True)
class Lock:
    """What an upstream asks of those who want its content."""

    scheme: str = "Bearer"
    username: str | None = None
    password: str | None = None
    """Without them, anyone gets a token."""
    token: str = "a-token-of-the-upstream"
    challenge: str | None = None
    """What WWW-Authenticate says, if not the honest thing."""

    def basic(self) -> str:
        """The honest Authorization of a user."""
        return "Basic " + base64.b64encode(f"{self.username}:{self.password}".encode()).decode()

    def opened_by(self, asked: Asked) -> bool:
        """Whether a request for content may have it."""
        expected = self.basic() if self.scheme == "Basic" else f"Bearer {self.token}"
        return asked.value("authorization") == expected

    def gives_token_to(self, asked: Asked) -> bool:
        """Whether a request to the token endpoint gets one."""
        return self.username is None or asked.value("authorization") == self.basic()


def answer(shelves: Mapping[str, Shelf], lock: Lock | None, origin: str, referrers_api: bool, asked: Asked) -> Reply:
    """The reply of an honest registry.

    :param origin: the upstream's own URL, for the challenge.
    :param referrers_api: whether it has the referrers API; without, there is the tag of the fallback schema.
    """
    if asked.path == "/token":
        if lock is None or not lock.gives_token_to(asked):
            return failure(401, "UNAUTHORIZED")
        return document(200, {"token": lock.token, "expires_in": 300})
    if lock is not None and not lock.opened_by(asked):
        return failure(401, "UNAUTHORIZED").set("WWW-Authenticate", _challenge(lock, origin, asked))
    if asked.path.rstrip("/") == "/v2":
        return document(200, {})
    if asked.method not in ("GET", "HEAD"):
        return failure(405, "UNSUPPORTED")
    return _content(shelves, referrers_api, asked)


def _content(shelves: Mapping[str, Shelf], referrers_api: bool, asked: Asked) -> Reply:
    found = _PATH.fullmatch(asked.path)
    if found is None or found["name"] not in shelves:
        return failure(404, "NAME_UNKNOWN")
    shelf, reference = shelves[found["name"]], found["reference"].replace("%3A", ":")
    if found["part"] == "blobs":
        return _blob(shelf, reference, asked)
    if found["part"] == "manifests":
        return _manifest(shelf, reference)
    if not referrers_api:
        return failure(404, "UNSUPPORTED")
    return Reply(200, (("Content-Type", INDEX_TYPE),), listing(shelf.referrers.get(reference, ())))


def _manifest(shelf: Shelf, reference: str) -> Reply:
    manifest = shelf.manifests.get(shelf.tags.get(reference, reference))
    if manifest is None:
        return failure(404, "MANIFEST_UNKNOWN")
    fields = (("Content-Type", manifest.media_type), ("Docker-Content-Digest", manifest.digest))
    return Reply(200, fields, manifest.data)


def _blob(shelf: Shelf, digest: str, asked: Asked) -> Reply:
    data = shelf.blobs.get(digest)
    if data is None:
        return failure(404, "BLOB_UNKNOWN")
    fields = (
        ("Content-Type", "application/octet-stream"),
        ("Docker-Content-Digest", digest),
        ("Accept-Ranges", "bytes"),
        ("ETag", f'"{digest}"'),
    )
    wanted = _RANGE.fullmatch(asked.value("range") or "")
    if wanted is None or asked.method == "HEAD":
        return Reply(200, fields, data)
    first, last = int(wanted[1]), min(int(wanted[2] or len(data) - 1), len(data) - 1)
    if first > last:
        return failure(416, "SIZE_INVALID")
    return Reply(206, (*fields, ("Content-Range", f"bytes {first}-{last}/{len(data)}")), data[first : last + 1])


def _challenge(lock: Lock, origin: str, asked: Asked) -> str:
    if lock.challenge is not None:
        return lock.challenge
    if lock.scheme == "Basic":
        return 'Basic realm="scripted"'
    found = _PATH.fullmatch(asked.path)
    scope = f',scope="repository:{found["name"]}:pull"' if found else ""
    return f'Bearer realm="{origin}/token",service="scripted"{scope}'


def document(status: int, content: object) -> Reply:
    """A reply in JSON."""
    return Reply(status, (("Content-Type", "application/json"),), json.dumps(content).encode())


def failure(status: int, code: str) -> Reply:
    """A refusal as a registry words it."""
    return document(status, {"errors": [{"code": code, "message": "so it is scripted"}]})
