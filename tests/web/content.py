"""What the edge's tests push and pull: a blob, an image over it, and ways to make more."""

from __future__ import annotations

import json
from typing import Any

from pkgd.formats.digest import Digest
from pkgd.formats.oci import DOCKER_IMAGE, IMAGE, INDEX
from tests.web.fixtures import Edge

__all__ = [
    "BLOB",
    "BLOB_DIGEST",
    "CONFIG",
    "CONFIG_DIGEST",
    "CONFIG_TYPE",
    "DOCKER",
    "DOCKER_DIGEST",
    "LAYER_TYPE",
    "PLAIN",
    "PLAIN_DIGEST",
    "descriptor",
    "digest_of",
    "image",
    "index",
    "push_blob",
    "push_manifest",
    "start",
]

CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"


def digest_of(data: bytes, algorithm: str = "sha256") -> str:
    """The digest of bytes, as it is written."""
    return str(Digest.of(data, algorithm))


def descriptor(media_type: str, content: bytes, **more: Any) -> dict[str, Any]:
    """What a manifest says of some content."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content), **more}


def image(media_type: str = IMAGE, **more: Any) -> bytes:
    """An image manifest over `CONFIG` and `BLOB`; `more` adds to it or replaces; None takes away."""
    document = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(CONFIG_TYPE, CONFIG),
        "layers": [descriptor(LAYER_TYPE, BLOB)],
        **more,
    }
    return _encode(document)


def index(*children: bytes, **more: Any) -> bytes:
    """An index of manifests."""
    entries = [descriptor(IMAGE, one) for one in children]
    return _encode({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries, **more})


def _encode(document: dict[str, Any]) -> bytes:
    return json.dumps({key: value for key, value in document.items() if value is not None}).encode()


BLOB = bytes(range(256)) * 8
BLOB_DIGEST = digest_of(BLOB)
CONFIG = b"{}"
CONFIG_DIGEST = digest_of(CONFIG)
PLAIN = image()
PLAIN_DIGEST = digest_of(PLAIN)
DOCKER = image(DOCKER_IMAGE)
DOCKER_DIGEST = digest_of(DOCKER)


def push_blob(edge: Edge, name: str, data: bytes, algorithm: str = "sha256") -> str:
    """Push a blob in one request; returns its digest."""
    digest = digest_of(data, algorithm)
    answer = edge.call("POST", f"/v2/{name}/blobs/uploads/?digest={digest}", {}, data)
    assert answer.status == 201, answer
    return digest


def push_manifest(edge: Edge, name: str, reference: str, data: bytes, media_type: str = IMAGE) -> str:
    """Push a manifest; returns its digest."""
    answer = edge.call("PUT", f"/v2/{name}/manifests/{reference}", {"Content-Type": media_type}, data)
    assert answer.status == 201, answer
    digest = answer.header("Docker-Content-Digest")
    assert digest is not None
    return digest


def start(edge: Edge, name: str) -> str:
    """Begin an upload session; returns its location."""
    location = edge.call("POST", f"/v2/{name}/blobs/uploads/").header("Location")
    assert location is not None
    return location
