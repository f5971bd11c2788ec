"""Judging what a client pushed: read back over HTTP and compared with the original."""

from __future__ import annotations

import json
from pathlib import Path

from tests.live.content import expect, unpacked_digest
from tests.live.images import Artifact, Image, MultiArch
from tests.live.layout import Descriptor
from tests.live.registry import Registry


class Pushed:
    """The content of one repository after a push."""

    def __init__(self, registry: Registry, name: str, folder: Path) -> None:
        self._registry = registry
        self._name = name
        self._folder = folder

    def is_exactly(self, manifest: Descriptor, blobs: list[Descriptor], reference: str) -> None:
        """The reference gives that manifest, and every blob has come through to the byte."""
        pulled = self._registry.manifest(self._name, reference)
        found = (pulled.digest, pulled.media_type)
        expect(f"{self._name} {reference}", found, (manifest.digest, manifest.media_type))
        for blob in blobs:
            expect(f"blob of {self._name}", self._registry.blob_digest(self._name, blob.digest), blob.digest)

    def has_the_content_of(self, image: Image, reference: str) -> None:
        """The image is the same but for the compression of its layers: docker and podman compress on push."""
        manifest = self._registry.manifest(self._name, reference).json
        expect(f"config of {self._name}", manifest["config"]["digest"], image.config.digest)
        diff_ids = json.loads(self._stored(image.config.digest).read_bytes())["rootfs"]["diff_ids"]
        expect(f"diff ids of {self._name}", diff_ids, image.diff_ids)
        layers = [unpacked_digest(self._stored(layer["digest"])) for layer in manifest["layers"]]
        expect(f"layers of {self._name}", layers, image.diff_ids)

    def is_exact_index(self, multi: MultiArch, reference: str) -> None:
        """The reference gives that index, and every image it names is whole."""
        expect(f"{self._name} {reference}", self._registry.manifest(self._name, reference).digest, multi.index.digest)
        for image in multi.images:
            self.is_exactly(image.manifest, image.blobs, image.manifest.digest)

    def is_an_index_of(self, images: tuple[Image, ...], reference: str) -> None:
        """The reference gives an index, written by the client itself, of exactly those images, each of them whole."""
        listed = {child["digest"] for child in self._registry.manifest(self._name, reference).json["manifests"]}
        expect(f"children of {self._name} {reference}", listed, {image.manifest.digest for image in images})
        for image in images:
            self.is_exactly(image.manifest, image.blobs, image.manifest.digest)

    def is_referrer(self, artifact: Artifact) -> None:
        """The referrers list of the subject shows the artifact, and nothing else."""
        listed = self._registry.referrers(self._name, artifact.subject.manifest.digest)
        shown = [(entry["digest"], entry.get("artifactType"), entry["size"]) for entry in listed]
        own = artifact.manifest
        expect(f"referrers in {self._name}", shown, [(own.digest, artifact.artifact_type, own.size)])

    def _stored(self, digest: str) -> Path:
        """A copy of a blob in a file, which the next one overwrites."""
        copy = self._folder / "blob-read-back"
        expect(f"blob of {self._name}", self._registry.blob_digest(self._name, digest, copy), digest)
        return copy
