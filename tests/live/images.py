"""The images of the cases, made on the spot: each kind that a registry must carry, with all its digests known."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.live.layout import (
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Content,
    Descriptor,
    Json,
    Layer,
    Layout,
)

MIB = 1 << 20
TAG = "v1"
"""The tag of every image in its layout."""

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())


@dataclass(frozen=True)
class Image:
    """One image for one platform, in a layout of its own."""

    layout: Layout
    manifest: Descriptor
    config: Descriptor
    layers: tuple[Layer, ...]

    @property
    def blobs(self) -> list[Descriptor]:
        """Config and layers."""
        return [self.config, *(layer.blob for layer in self.layers)]

    @property
    def diff_ids(self) -> list[str]:
        """The digests of the uncompressed layers: what survives every recompression."""
        return [layer.diff_id for layer in self.layers]

    @property
    def files(self) -> dict[str, str]:
        """What a container of this image sees: file name → sha256 of its content."""
        return {layer.file_name: layer.file_digest for layer in self.layers}

    @property
    def source(self) -> str:
        """The image as skopeo, podman and buildah name it locally."""
        if self.manifest.media_type == DOCKER_MANIFEST:
            return f"dir:{self.layout.root}/directory"
        return f"oci:{self.layout.root}:{TAG}"


@dataclass(frozen=True)
class MultiArch:
    """An index of images, the first of them for this machine."""

    layout: Layout
    index: Descriptor
    images: tuple[Image, ...]

    @property
    def source(self) -> str:
        """The index as skopeo, podman and buildah name it locally."""
        return f"oci:{self.layout.root}:{TAG}"


@dataclass(frozen=True)
class Artifact:
    """Something that is no image, about an image: the image, and the manifest that names it as its subject."""

    subject: Image
    layout: Layout
    manifest: Descriptor
    blobs: tuple[Descriptor, ...]
    artifact_type: str

    @property
    def source(self) -> str:
        """The artifact as skopeo names it locally."""
        return f"oci:{self.layout.root}:{TAG}"


class Images:
    """Every kind of image, each made when first asked for."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._more: dict[str, Image] = {}

    @cached_property
    def many_layers(self) -> Image:
        """40 layers, of which one of 1 GiB that no compression shortens."""
        contents = [_random(f"layer-{number}", 64 << 10) for number in range(40)]
        contents[20] = _random("one-gibibyte", 1024 * MIB)
        return _image(self._layout("many"), contents, level=0)

    @cached_property
    def many_light_layers(self) -> Image:
        """20 layers, of which one of 200 MiB, nearly all zeros, that compresses fast and well."""
        contents = [_random(f"layer-{number}", 64 << 10) for number in range(20)]
        contents[10] = _zeros("mostly-zeros", 200 * MIB)
        return _image(self._layout("light"), contents, level=1)

    @cached_property
    def heavy(self) -> Image:
        """One layer of 200 MiB that no compression shortens."""
        return _image(self._layout("heavy"), [_random("heavy", 200 * MIB)], level=0)

    @cached_property
    def resumable(self) -> Image:
        """One layer of 64 MiB, to be cut in transfer."""
        return _image(self._layout("resumable"), [_random("to-be-cut", 64 * MIB)], level=0)

    @cached_property
    def small(self) -> Image:
        """Three layers of some kilobytes."""
        return self.another_small("small")

    def another_small(self, name: str) -> Image:
        """A small image that shares no byte of content with others."""
        if name not in self._more:
            contents = [_random(f"{name}-{number}", 10_000) for number in range(3)]
            self._more[name] = _image(self._layout(name), contents, level=6)
        return self._more[name]

    @cached_property
    def untyped(self) -> Image:
        """A small OCI image whose manifest does not say what it is: `mediaType` is optional there."""
        return _image(self._layout("untyped"), [_random("untyped", 10_000)], level=6, says_type=False)

    @cached_property
    def schema2(self) -> Image:
        """A small image in the form that docker pushes: Docker schema 2."""
        contents = [_random(f"schema2-{number}", 10_000) for number in range(3)]
        image = _image(self._layout("schema2"), contents, level=6, docker=True)
        image.layout.write_directory(image.manifest, image.blobs)
        return image

    @cached_property
    def multi_arch(self) -> MultiArch:
        """An index of three architectures, this machine's first."""
        layout = self._layout("multi")
        architectures = [ARCHITECTURE, "s390x", "riscv64"]
        images = [_image(layout, [_random(name, 10_000)], level=6, architecture=name) for name in architectures]
        children = [
            image.manifest.to_json(platform={"architecture": name, "os": "linux"})
            for image, name in zip(images, architectures, strict=True)
        ]
        index = layout.add_json({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": children}, OCI_INDEX)
        layout.name(index, TAG)
        return MultiArch(layout, index, tuple(images))

    @cached_property
    def artifact(self) -> Artifact:
        """A list of parts about an image: its config is empty, its subject is the image's manifest."""
        subject = self.another_small("subject")
        layout = self._layout("artifact")
        empty = layout.add(b"{}", "application/vnd.oci.empty.v1+json")
        parts = layout.add(b'{"parts": ["one", "two"]}', "application/vnd.example.parts+json")
        kind = "application/vnd.example.parts"
        manifest = _manifest(OCI_MANIFEST, empty, [parts])
        manifest |= {"artifactType": kind, "subject": subject.manifest.to_json()}
        top = layout.add_json(manifest, OCI_MANIFEST)
        layout.name(top, TAG)
        return Artifact(subject, layout, top, (empty, parts), kind)

    def _layout(self, name: str) -> Layout:
        return Layout(self._root / name)


def _image(
    layout: Layout,
    contents: list[Content],
    *,
    level: int,
    architecture: str = ARCHITECTURE,
    docker: bool = False,
    says_type: bool = True,
) -> Image:
    layer_type = DOCKER_LAYER if docker else OCI_LAYER
    layers = tuple(layout.add_layer(content, level, layer_type) for content in contents)
    config = layout.add_json(_config(layers, architecture), DOCKER_CONFIG if docker else OCI_CONFIG)
    media_type = DOCKER_MANIFEST if docker else OCI_MANIFEST
    manifest = _manifest(media_type, config, [layer.blob for layer in layers])
    if not says_type:
        del manifest["mediaType"]
    top = layout.add_json(manifest, media_type)
    layout.name(top, TAG)
    return Image(layout, top, config, layers)


def _manifest(media_type: str, config: Descriptor, layers: list[Descriptor]) -> Json:
    return {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": config.to_json(),
        "layers": [layer.to_json() for layer in layers],
    }


def _config(layers: tuple[Layer, ...], architecture: str) -> dict[str, Any]:
    return {
        "created": "2024-01-01T00:00:00Z",
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": ["/none"]},
        "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        "history": [{"created": "2024-01-01T00:00:00Z", "created_by": layer.file_name} for layer in layers],
    }


def _random(name: str, size: int) -> Content:
    return Content(name, size, (os.urandom(min(4 * MIB, size - at)) for at in range(0, size, 4 * MIB)))


def _zeros(name: str, size: int) -> Content:
    return Content(name, size, _zeros_after_some_random(size))


def _zeros_after_some_random(size: int) -> Iterator[bytes]:
    yield os.urandom(MIB)
    for _ in range(size // MIB - 1):
        yield bytes(MIB)
