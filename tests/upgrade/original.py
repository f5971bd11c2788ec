"""The original server's tree: written by its rules, and read by its rules, without any of pkgd's code.

    <repo>/blobs/<hex>
    <repo>/manifests/by-digest/<hex>, <hex>.meta   {"mediaType": …}, which its first releases did not write
    <repo>/manifests/by-tag/<tag>                  {"digest": "sha256:<hex>"}
    <repo>/manifests/<tag>.json                    the manifest itself, in the releases before digests
    __mirror__/<host>/<repo>/…                     the same, of an upstream

Its reader looks for a tag in `by-tag`, then for `<tag>.json`; for a digest in `by-digest`, then in all `.json` files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from attrs import frozen

__all__ = ["Image", "Reader", "images", "write_tree"]

MIRRORED = "__mirror__/registry.example.com/library/alpine"

# Each repository, and the form that its manifests have.
_FORMS = {
    "app": "tags",
    "team": "tags",  # the one above others
    "team/app": "digests",
    "team/deep/er/app": "untyped digests",
    "team/blobs": "digests",  # names that are those of folders, too
    "team/manifests/tools": "tags",
    "docker.io/library/alpine": "tags",
    MIRRORED: "digests",
}
_OCI, _DOCKER = "application/vnd.oci.image.manifest.v1+json", "application/vnd.docker.distribution.manifest.v2+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


@frozen
class Image:
    """A tag of a repository, its manifest's bytes and type, and the blobs that it names."""

    repository: str
    tag: str
    media_type: str
    manifest: bytes
    blobs: tuple[bytes, ...]

    @property
    def digest(self) -> str:
        """The manifest's."""
        return _digest(self.manifest)


def images() -> Iterator[Image]:
    """What the tree has: in every repository two images, one of Docker's, and an index of the first two."""
    for repository in _FORMS:
        first = _image(repository, "1.0", _OCI)
        second = _image(repository, "latest", _OCI)
        yield from (first, second, _image(repository, "x.json", _DOCKER))
        entries = [{"mediaType": _OCI, "digest": one.digest, "size": len(one.manifest)} for one in (first, second)]
        index = {"schemaVersion": 2, "mediaType": _INDEX, "manifests": entries}
        yield Image(repository, "multi", _INDEX, json.dumps(index).encode(), ())


def write_tree(root: Path) -> None:
    """Write all images as the original would have."""
    for one in images():
        folder = root / one.repository
        for blob in one.blobs:
            _write(folder / "blobs" / _digest(blob)[7:], blob)
        form = _FORMS[one.repository]
        if form == "tags":
            _write(folder / "manifests" / f"{one.tag}.json", one.manifest)
            continue
        _write(folder / "manifests" / "by-digest" / one.digest[7:], one.manifest)
        _write(folder / "manifests" / "by-tag" / one.tag, json.dumps({"digest": one.digest}).encode())
        if form == "digests":
            meta = json.dumps({"mediaType": one.media_type}).encode()
            _write(folder / "manifests" / "by-digest" / f"{one.digest[7:]}.meta", meta)


class Reader:
    """The original, as far as it reads: what is in a tree for it."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def manifest(self, repository: str, reference: str) -> bytes | None:
        """A manifest's bytes by a tag or a digest."""
        folder = self._root / repository / "manifests"
        if reference.startswith("sha256:"):
            whole = folder / "by-digest" / reference[7:]
            candidates = [whole, *sorted(folder.glob("*.json"))]
            found = (one.read_bytes() for one in candidates if one.is_file())
            return next((data for data in found if _digest(data) == reference), None)
        pointer, old = folder / "by-tag" / reference, folder / f"{reference}.json"
        if pointer.is_file():
            return self.manifest(repository, json.loads(pointer.read_bytes())["digest"])
        return old.read_bytes() if old.is_file() else None

    def blob(self, repository: str, digest: str) -> bytes | None:
        """A blob's bytes."""
        path = self._root / repository / "blobs" / digest[7:]
        return path.read_bytes() if path.is_file() else None

    def wrong(self, image: Image) -> list[str]:
        """What of an image is not there as it was, level by level."""
        where = f"{image.repository}:{image.tag}"
        found = [f"{where} by {one}" for one in (image.tag, image.digest) if not self._has(image, one)]
        document: Mapping[str, list[dict[str, str]]] = json.loads(image.manifest)
        for entry in document.get("manifests", []):
            if self.manifest(image.repository, entry["digest"]) is None:
                found.append(f"{where}: its image {entry['digest']}")
        for blob in image.blobs:
            if self.blob(image.repository, _digest(blob)) != blob:
                found.append(f"{where}: its blob {_digest(blob)}")
        return found

    def _has(self, image: Image, reference: str) -> bool:
        return self.manifest(image.repository, reference) == image.manifest


def _image(repository: str, tag: str, media_type: str) -> Image:
    config = json.dumps({"architecture": "amd64", "os": "linux", "of": f"{repository}:{tag}"}).encode()
    layer = hashlib.shake_256(f"{repository}:{tag}".encode()).digest(5000)
    blobs = (config, layer, b"a layer that many have")
    kinds = (media_type.replace("manifest", "config"), *[media_type.replace("manifest", "layer")] * 2)
    entries = [
        {"mediaType": kind, "digest": _digest(blob), "size": len(blob)} for kind, blob in zip(kinds, blobs, strict=True)
    ]
    # Indented, with a newline behind it: whoever writes it anew writes other bytes.
    document = {"schemaVersion": 2, "mediaType": media_type, "config": entries[0], "layers": entries[1:]}
    return Image(repository, tag, media_type, json.dumps(document, indent=3).encode() + b"\n", blobs)


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
