"""A registry that is a function: content, requests as they came, and faults to be had once or always."""

from __future__ import annotations

import json
from collections import defaultdict, deque
from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any

from attrs import Factory, define

from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, RepositoryName
from pkgd.formats.oci import Descriptor

__all__ = ["HUB", "INDEX", "LAYER", "MANIFEST", "FakeAnswer", "FakeRegistry", "descriptor"]

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"

HUB = Origin("docker.io", RepositoryName("library/alpine"))


@define
class FakeAnswer:
    """An answer in memory; after `breaks_at` bytes of the body the connection breaks."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = Factory(dict)
    breaks_at: int | None = None
    closed: bool = False

    def header(self, name: str) -> str:
        """A header, or ""."""
        return self.headers.get(name, "")

    def read(self, size: int) -> bytes:
        """The next bytes."""
        assert not self.closed
        if self.breaks_at is not None:
            size = min(size, self.breaks_at)
            self.breaks_at -= size
            if not size:
                raise ConnectionResetError("reset")
        piece, self.body = self.body[:size], self.body[size:]
        return piece

    def close(self) -> None:
        """The answer is done with."""
        self.closed = True


Fault = Callable[[FakeAnswer], FakeAnswer]


class FakeRegistry:
    """Holds what is added to it, and answers as pkgd does for the upstream in `ns`."""

    def __init__(self) -> None:
        self.content: dict[str, tuple[bytes, str]] = {}
        self.requests: list[tuple[str, Mapping[str, str]]] = []
        self.answers: list[FakeAnswer] = []
        self._faults: dict[str, deque[Fault | OSError]] = defaultdict(deque)
        self._always: dict[str, Fault] = {}
        self._lock = Lock()

    # -- content --

    def blob(self, data: bytes, origin: Origin = HUB, media_type: str = LAYER) -> dict[str, Any]:
        """Add a blob; returns its descriptor."""
        digest = Digest.of(data)
        self.content[f"/v2/{origin.name}/blobs/{digest}?ns={origin.host}"] = (data, "application/octet-stream")
        return {"mediaType": media_type, "digest": str(digest), "size": len(data)}

    def manifest(self, document: Mapping[str, Any], tag: str = "", origin: Origin = HUB) -> dict[str, Any]:
        """Add a manifest, by digest and by tag; returns its descriptor."""
        data, media_type = json.dumps(document).encode("utf-8"), document["mediaType"]
        digest = Digest.of(data)
        for reference in (str(digest), tag):
            self.content[f"/v2/{origin.name}/manifests/{reference}?ns={origin.host}"] = (data, media_type)
        return {"mediaType": media_type, "digest": str(digest), "size": len(data)}

    def image(self, *layers: bytes, tag: str = "", origin: Origin = HUB) -> dict[str, Any]:
        """Add an image of these layers, with a config that is theirs alone; returns its descriptor."""
        return self.manifest(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": self.blob(b"config of " + b"+".join(layers), origin, CONFIG),
                "layers": [self.blob(layer, origin) for layer in layers],
            },
            tag,
            origin,
        )

    def index(self, *children: Mapping[str, Any], tag: str = "", origin: Origin = HUB) -> dict[str, Any]:
        """Add an index; returns its descriptor."""
        return self.manifest({"schemaVersion": 2, "mediaType": INDEX, "manifests": children}, tag, origin)

    # -- faults --

    def fault(self, path: str, *faults: Fault | OSError) -> None:
        """What the next requests whose path ends like this, without its query, meet."""
        self._faults[path].extend(faults)

    def always(self, path: str, fault: Fault) -> None:
        """What every such request meets."""
        self._always[path] = fault

    # -- requests --

    def __call__(self, method: str, path: str, headers: Mapping[str, str]) -> FakeAnswer:
        """Answer a request."""
        with self._lock:
            self.requests.append((f"{method} {path}", headers))
            answer = self._answer(path, headers)
            plain = path.partition("?")[0]
            for end, faults in self._faults.items():
                if plain.endswith(end) and faults:
                    fault = faults.popleft()
                    if isinstance(fault, OSError):
                        raise fault
                    answer = fault(answer)
            for end, always in self._always.items():
                if plain.endswith(end):
                    answer = always(answer)
            self.answers.append(answer)
            return answer

    def _answer(self, path: str, headers: Mapping[str, str]) -> FakeAnswer:
        if path == "/v2/":
            return FakeAnswer(body=b"{}")
        if path not in self.content:
            error = {"code": "MANIFEST_UNKNOWN", "message": "not here", "detail": None}
            return FakeAnswer(404, json.dumps({"errors": [error]}).encode("ascii"))
        data, media_type = self.content[path]
        fields = {"Content-Type": media_type, "Docker-Content-Digest": str(Digest.of(data))}
        begin = int(headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        if begin:
            fields["Content-Range"] = f"bytes {begin}-{len(data) - 1}/{len(data)}"
        fields["Content-Length"] = str(len(data) - begin)
        return FakeAnswer(206 if begin else 200, data[begin:], fields)

    def count(self, part: str) -> int:
        """How many requests had this in their path."""
        return sum(part in request for request, _ in self.requests)


def descriptor(value: Mapping[str, Any]) -> Descriptor:
    """The value of a descriptor."""
    return Descriptor(value["mediaType"], Digest.parse(value["digest"]), value["size"], False)
