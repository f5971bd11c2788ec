"""What the upstreams serve: an image index, its image, blobs of several sizes, a signature that refers to the image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from tests.crash.content import CONFIG_TYPE, INDEX_TYPE, LAYER_TYPE, Content, Descriptor, Manifest, digest_of
from tests.crash.content import image as image_manifest
from tests.crash.content import index as image_index

REPOSITORY = "team/app"
TAG = "latest"
LAYER_SIZES = (1, 700, 70_000, 3 << 20)

Json = dict[str, object]


@dataclass(frozen=True)
class Shelf:
    """One repository of an upstream."""

    blobs: Mapping[str, bytes]
    manifests: Mapping[str, Manifest]
    tags: Mapping[str, str]
    referrers: Mapping[str, tuple[Json, ...]] = field(default_factory=dict)
    """Digest of a manifest → descriptors of those that refer to it."""

    def tagged(self, tag: str, digest: str | None) -> Shelf:
        """The same with a tag moved to another manifest, or deleted."""
        tags = {**self.tags, tag: digest} if digest else {name: at for name, at in self.tags.items() if name != tag}
        return replace(self, tags=tags)


@dataclass(frozen=True)
class Image:
    """One image, and all that belongs to it."""

    index: Manifest
    manifest: Manifest
    signature: Manifest
    config: bytes
    layers: tuple[bytes, ...]

    @property
    def largest(self) -> str:
        """The digest of the largest layer."""
        return digest_of(self.layers[-1])

    @property
    def strong(self) -> str:
        """The digest of a layer that is named by its sha512."""
        return strong_digest(self.layers[1])

    def shelf(self) -> Shelf:
        """A repository with this image, its index under the usual tag."""
        blobs = {digest_of(data): data for data in (self.config, *self.layers)}
        manifests = {one.digest: one for one in (self.index, self.manifest, self.signature)}
        listed = descriptor_of(self.signature).json() | {"artifactType": "application/vnd.example.crash.v1"}
        return Shelf(
            {**blobs, self.strong: self.layers[1]}, manifests, {TAG: self.index.digest}, {self.index.digest: (listed,)}
        )


def image(seed: int, sizes: tuple[int, ...] = LAYER_SIZES) -> Image:
    """An image that follows from its seed; its second layer is named by sha512."""
    config = json.dumps({"architecture": "amd64", "os": "linux", "seed": seed}).encode()
    layers = tuple(Content(seed * 100 + number, size).data() for number, size in enumerate(sizes))
    descriptors = [Descriptor(LAYER_TYPE, digest_of(data), len(data)) for data in layers]
    descriptors[1] = replace(descriptors[1], digest=strong_digest(layers[1]))
    manifest = image_manifest(Descriptor(CONFIG_TYPE, digest_of(config), len(config)), descriptors, f"image {seed}")
    index = image_index([descriptor_of(manifest)], f"index {seed}")
    empty = Descriptor(CONFIG_TYPE, digest_of(config), len(config))
    signature = image_manifest(empty, [], f"signature {seed}", descriptor_of(index))
    return Image(index, manifest, signature, config, layers)


def descriptor_of(manifest: Manifest) -> Descriptor:
    """The descriptor of a manifest."""
    return Descriptor(manifest.media_type, manifest.digest, len(manifest.data))


def listing(referrers: tuple[Json, ...]) -> bytes:
    """The index that the referrers API answers."""
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": list(referrers)}).encode()


def strong_digest(data: bytes) -> str:
    """The sha512 digest of the bytes, as the protocol writes it."""
    return f"sha512:{hashlib.sha512(data).hexdigest()}"
