"""What the workload pushes: blobs and manifests that can be made again from a few numbers."""

from __future__ import annotations

import hashlib
import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"
INDEX_TYPE = "application/vnd.oci.image.index.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar"
ARTIFACT_TYPE = "application/vnd.example.crash.v1"


def digest_of(data: bytes) -> str:
    """The sha256 digest of the bytes, as the protocol writes it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


@dataclass(frozen=True)
class Content:
    """The bytes of a blob, as the seed they are made from."""

    seed: int
    size: int

    def data(self) -> bytes:
        """The bytes."""
        return random.Random(self.seed).randbytes(self.size)

    @cached_property
    def digest(self) -> str:
        """The digest of the bytes."""
        return digest_of(self.data())

    @classmethod
    def draw(cls, rng: random.Random, largest: int) -> Content:
        """New content: 1 KiB to `largest`, small sizes as likely as large ones on a logarithmic scale."""
        return cls(rng.getrandbits(48), int(math.exp(rng.uniform(math.log(1024), math.log(largest)))))


@dataclass(frozen=True)
class Manifest:
    """A manifest or index: its exact bytes and media type, and the manifest it refers to, if any."""

    data: bytes
    media_type: str
    subject: str | None = None

    @cached_property
    def digest(self) -> str:
        """The digest of the bytes."""
        return digest_of(self.data)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says of something it names."""

    media_type: str
    digest: str
    size: int

    def json(self) -> dict[str, object]:
        """The descriptor as it stands in a manifest."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def image(config: Descriptor, layers: Sequence[Descriptor], note: str, subject: Descriptor | None = None) -> Manifest:
    """An image manifest, or an artifact that refers to `subject`; `note` makes its digest its own."""
    document: dict[str, object] = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": config.json(),
        "layers": [layer.json() for layer in layers],
        "annotations": {"org.example.note": note},
    }
    if subject is not None:
        document |= {"artifactType": ARTIFACT_TYPE, "subject": subject.json()}
    return Manifest(json.dumps(document).encode(), MANIFEST_TYPE, subject.digest if subject else None)


def index(children: Sequence[Descriptor], note: str) -> Manifest:
    """An image index of the children."""
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX_TYPE,
        "manifests": [child.json() for child in children],
        "annotations": {"org.example.note": note},
    }
    return Manifest(json.dumps(document).encode(), INDEX_TYPE)
