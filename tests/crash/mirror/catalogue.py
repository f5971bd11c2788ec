"""What the upstreams have: images in several repositories of two registries, with layers that they share."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tests.bench.upstream import Upstream, Whole
from tests.crash.content import CONFIG_TYPE, LAYER_TYPE, MANIFEST_TYPE, Content, Descriptor, Manifest, image, index
from tests.crash.layout import MIRROR

_SHARED = 0.35
_MOST_LAYERS = 4
_SMALLEST_LAYER = 64 << 10


@dataclass(frozen=True, slots=True)
class Place:
    """A repository of an upstream registry."""

    host: str
    name: str

    @property
    def directory(self) -> str:
        """The repository below which the mirror keeps it."""
        return f"{MIRROR}/{self.host}/{self.name}"

    def path(self, kind: str, reference: str) -> str:
        """Its path at the upstream."""
        return f"/v2/{self.name}/{kind}/{reference}"


@dataclass(frozen=True)
class Image:
    """A manifest with what it needs: its config and layers, or the images that it lists."""

    manifest: Manifest
    blobs: tuple[Content, ...] = ()
    children: tuple[Image, ...] = ()

    @property
    def size(self) -> int:
        """The bytes of everything."""
        return sum(blob.size for blob in self.blobs) + sum(child.size for child in self.children)


Key = tuple[Place, str]
"""A place and a tag."""


@dataclass
class Catalogue:
    """Everything that can be pulled, and every image that a tag has ever stood for."""

    upstreams: Mapping[str, Upstream]
    repositories: Sequence[str]
    largest: int
    rng: random.Random
    tags: dict[Key, list[Image]] = field(default_factory=dict)
    _layers: list[Content] = field(default_factory=list)

    @property
    def places(self) -> list[Place]:
        """Every repository of every registry."""
        return [Place(host, name) for host in self.upstreams for name in self.repositories]

    def image_at(self, key: Key) -> Image:
        """What the tag stands for now."""
        return self.tags[key][-1]

    def put(self, key: Key, layers: Sequence[Content] | None = None) -> Image:
        """Give a tag a new image, now and then an index of two, and let the upstream have it."""
        place, tag = key
        if layers is None and self.rng.random() < 0.2:
            made = self._index(tag)
        else:
            made = self._image(tag, layers or [self._layer() for _ in range(self.rng.randint(1, _MOST_LAYERS))])
        self._offer(place, made, tag)
        self.tags.setdefault(key, []).append(made)
        return made

    def content(self, size: int) -> Content:
        """New bytes."""
        return Content(self.rng.getrandbits(48), size)

    def _index(self, note: str) -> Image:
        children = tuple(self._image(f"{note} {number}", [self._layer()]) for number in range(2))
        descriptors = [Descriptor(MANIFEST_TYPE, one.manifest.digest, len(one.manifest.data)) for one in children]
        return Image(index(descriptors, self._note(note)), children=children)

    def _image(self, note: str, layers: Sequence[Content]) -> Image:
        config = self.content(self.rng.randint(200, 2000))
        descriptors = [Descriptor(LAYER_TYPE, layer.digest, layer.size) for layer in layers]
        manifest = image(Descriptor(CONFIG_TYPE, config.digest, config.size), descriptors, self._note(note))
        return Image(manifest, (config, *layers))

    def _layer(self) -> Content:
        if self._layers and self.rng.random() < _SHARED:
            return self.rng.choice(self._layers[-20:])
        self._layers.append(self.content(self.rng.randint(_SMALLEST_LAYER, self.largest)))
        return self._layers[-1]

    def _note(self, note: str) -> str:
        return f"{note} {self.rng.getrandbits(48)}"

    def _offer(self, place: Place, made: Image, tag: str | None = None) -> None:
        upstream = self.upstreams[place.host]
        upstream.put_manifest(place.name, made.manifest.digest, made.manifest.data, made.manifest.media_type, tag)
        for blob in made.blobs:
            upstream.put_blob(place.name, blob.digest, Whole(blob.data()))
        for child in made.children:
            self._offer(place, child)
