"""Writing OCI image layouts: blobs by digest, layers with known content, no container tool needed."""

from __future__ import annotations

import hashlib
import json
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

Json = dict[str, Any]


@dataclass(frozen=True)
class Descriptor:
    """A blob or manifest as other manifests name it."""

    media_type: str
    digest: str
    size: int

    def to_json(self, **more: Any) -> Json:
        """The descriptor as manifests hold it, with further members such as `platform`."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size, **more}


@dataclass(frozen=True)
class Content:
    """One file of a layer: its name and its bytes, in pieces."""

    name: str
    size: int
    pieces: Iterator[bytes]


@dataclass(frozen=True)
class Layer:
    """A written layer: its blob, the digest of its tar, and the digest of the file inside."""

    blob: Descriptor
    diff_id: str
    file_name: str
    file_digest: str


class Layout:
    """One OCI image layout in a folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "blobs/sha256").mkdir(parents=True)
        (root / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def path(self, digest: str) -> Path:
        """Where the blob of that digest lies."""
        return self.root / "blobs/sha256" / digest.removeprefix("sha256:")

    def read(self, digest: str) -> bytes:
        """The bytes of a small blob or manifest."""
        return self.path(digest).read_bytes()

    def add(self, data: bytes, media_type: str) -> Descriptor:
        """Write a small blob or manifest."""
        digest = "sha256:" + hashlib.sha256(data).hexdigest()
        self.path(digest).write_bytes(data)
        return Descriptor(media_type, digest, len(data))

    def add_json(self, value: Json, media_type: str) -> Descriptor:
        """Write a JSON document, such as a manifest or a config."""
        return self.add(json.dumps(value, indent=1).encode(), media_type)

    def add_layer(self, content: Content, level: int, media_type: str = OCI_LAYER) -> Layer:
        """Write a layer holding one file.

        Level 0 is a gzip stream of stored blocks: every client takes it as compressed and sends it as it is,
        yet neither writing nor reading it costs more than a copy and a checksum.
        """
        unfinished = self.root / "layer"
        blob_hash, tar_hash, file_hash = hashlib.sha256(), hashlib.sha256(), hashlib.sha256()
        gzip = zlib.compressobj(level, wbits=31)
        with unfinished.open("wb") as out:
            for piece, is_content in _tar(content):
                tar_hash.update(piece)
                if is_content:
                    file_hash.update(piece)
                packed = gzip.compress(piece)
                blob_hash.update(packed)
                out.write(packed)
            packed = gzip.flush()
            blob_hash.update(packed)
            out.write(packed)
            size = out.tell()
        digest = "sha256:" + blob_hash.hexdigest()
        unfinished.rename(self.path(digest))
        blob = Descriptor(media_type, digest, size)
        return Layer(blob, "sha256:" + tar_hash.hexdigest(), content.name, file_hash.hexdigest())

    def write_directory(self, manifest: Descriptor, blobs: list[Descriptor]) -> None:
        """Write the image a second time in the `dir:` form of skopeo: an OCI layout is no place for Docker's types."""
        directory = self.root / "directory"
        directory.mkdir()
        (directory / "version").write_text("Directory Transport Version: 1.1\n")
        (directory / "manifest.json").write_bytes(self.read(manifest.digest))
        for blob in blobs:
            (directory / self.path(blob.digest).name).hardlink_to(self.path(blob.digest))

    def name(self, top: Descriptor, tag: str) -> None:
        """Write the index.json that gives the layout's one image its tag."""
        named = top.to_json(annotations={"org.opencontainers.image.ref.name": tag})
        (self.root / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [named]}))


def _tar(content: Content) -> Iterator[tuple[bytes, bool]]:
    """A tar of one file, in pieces, each with whether it is of the file's content."""
    header = tarfile.TarInfo(content.name)
    header.size, header.mode, header.mtime = content.size, 0o644, 1_700_000_000
    yield header.tobuf(tarfile.USTAR_FORMAT), False
    for piece in content.pieces:
        yield piece, True
    yield bytes(-content.size % 512 + 1024), False
