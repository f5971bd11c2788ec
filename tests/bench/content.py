"""The bytes of the bench: blobs of any size that cost one hash per size, and one small image.

A blob is a block of random bytes over and over, its last bytes replaced by a tail that no other blob has.
So all blobs of one size share the hash of all but the tail, and the C client makes a body without a file.
"""

import hashlib
import json
import os
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from random import Random

from attrs import frozen

from tests.bench.figures import MIB

TAIL_SIZE = 64
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
MANIFEST_TYPE = "application/vnd.oci.image.manifest.v1+json"


@frozen
class Blob:
    """One blob that need not exist as a file."""

    digest: str
    size: int
    tail: str


@frozen
class BlobBody:
    """A blob's bytes, in parts."""

    block: bytes
    blob: Blob

    @property
    def size(self) -> int:
        """How many there are."""
        return self.blob.size

    def part(self, offset: int, limit: int) -> memoryview:
        """A view of the block or of the tail."""
        tail = self.size - TAIL_SIZE
        if offset >= tail:
            return memoryview(self.blob.tail.encode())[offset - tail :][:limit]
        return memoryview(self.block)[offset % len(self.block) :][: min(limit, tail - offset)]


@frozen
class Image:
    """An image of tiny blobs whose manifest has the usual 1.5 KiB."""

    manifest: bytes
    blobs: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """The digest of the manifest."""
        return digest_of(self.manifest)


class Content:
    """Makes blobs; owns the block that they consist of."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._block = Random(1).randbytes(MIB)
        self._tails = count()
        self._shared: dict[int, hashlib._Hash] = {}
        self.block_path = folder / "block"
        self.block_path.write_bytes(self._block)

    def blob(self, size: int) -> Blob:
        """A blob of whole MiB unlike every other."""
        tail = hashlib.sha256(b"%d" % next(self._tails)).hexdigest()
        digest = self._shared_hash(size).copy()
        digest.update(tail.encode())
        return Blob(f"sha256:{digest.hexdigest()}", size, tail)

    def body(self, blob: Blob) -> BlobBody:
        """The blob's bytes for a server of our own, which needs no file."""
        return BlobBody(self._block, blob)

    def file(self, blob: Blob) -> Path:
        """The blob as a file, on disk and not only in the page cache."""
        path = self._folder / blob.digest.partition(":")[2]
        with path.open("wb") as target:
            for part in self._parts(blob.size):
                target.write(part)
            target.write(blob.tail.encode())
            target.flush()
            os.fsync(target.fileno())
        return path

    def _shared_hash(self, size: int) -> "hashlib._Hash":
        if size not in self._shared:
            self._shared[size] = hashlib.sha256()
            for part in self._parts(size):
                self._shared[size].update(part)
        return self._shared[size]

    def _parts(self, size: int) -> Iterator[bytes]:
        for _ in range(size // MIB - 1):
            yield self._block
        yield self._block[:-TAIL_SIZE]


def small_image(name: str = "") -> Image:
    """A config and eight layers, tiny, under a manifest of the size that registries see every day; one per name."""
    layers = [b"layer %d%s" % (number, name.encode()) for number in range(8)]
    config = b'{"architecture":"amd64","os":"linux"}'
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST_TYPE,
        "config": _descriptor(CONFIG_TYPE, config),
        "layers": [_descriptor(LAYER_TYPE, layer) for layer in layers],
    }
    return Image(json.dumps(manifest).encode(), (config, *layers))


def digest_of(data: bytes) -> str:
    """The sha256 digest as registries write it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _descriptor(media_type: str, data: bytes) -> dict[str, object]:
    return {"mediaType": media_type, "digest": digest_of(data), "size": len(data)}
