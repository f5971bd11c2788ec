"""What is wrong with a repository of images: tags, manifests, blobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from pkgd.backup.images import needs_of, pointed, stands_at
from pkgd.backup.places import Places
from pkgd.errors import InvalidManifest
from pkgd.formats.digest import Digest
from pkgd.storage import layout

__all__ = ["Hashing", "image_problems"]

Problem = tuple[str, str]


class Hashing(Protocol):
    """Says what a file's bytes are."""

    def of(self, name: str, algorithm: str = "sha256") -> str | None:
        """A file's hash in hex, or None if there is none."""


def image_problems(places: Places, place: str, is_sparse: bool, hashes: Hashing) -> Iterator[Problem]:
    """Every problem of a repository's directory. A mirror need not have everything: it is fetched again.

    :param is_sparse: whether its manifests may name blobs that are not there.
    """
    beside, is_hosted = stands_at(place)
    checking = _Checking(places, place, beside, hashes)
    yield from checking.tags(is_hosted)
    yield from checking.manifests(is_hosted and not is_sparse)
    yield from checking.blobs()


class _Checking:
    def __init__(self, places: Places, place: str, beside: list[str], hashes: Hashing) -> None:
        self._places = places
        self._place = place
        self._beside = beside
        self._hashes = hashes

    def tags(self, is_hosted: bool) -> Iterator[Problem]:
        """Every tag leads to a manifest."""
        for tag in self._places.files(layout.tags_prefix(self._place)):
            data = self._places.read(tag)
            if data is None:
                continue  # deleted meanwhile
            digest = pointed(data)
            if digest is None:
                yield tag, "it is damaged: it points at nothing"
            elif is_hosted and not self._has_manifest(digest):
                yield tag, f"the manifest {digest} is missing"

    def manifests(self, is_whole: bool) -> Iterator[Problem]:
        """Every manifest is what its name says, and, if everything has to be there, leads to its blobs."""
        for name in self._places.files(layout.manifests_prefix(self._place)):
            digest = layout.digest_of_file(name.rpartition("/")[2])
            if digest is None:
                continue
            found = self._hashes.of(name, digest.algorithm)
            if found is not None and found != digest.encoded:
                yield name, "it is damaged: its bytes have another digest"
            elif found is not None:
                yield from self._named(name, is_whole)
        for name in self._legacy():
            yield from self._named(name, is_whole)

    def _named(self, name: str, is_whole: bool) -> Iterator[Problem]:
        data = self._places.read(name)
        if data is None:
            return
        try:
            needs = needs_of(data, self._places.read(f"{name}.meta"))
        except InvalidManifest as error:
            yield name, f"it is no manifest: {error.message}"
            return
        for digest in needs.blobs if is_whole else ():
            if not any(self._places.is_there(layout.blob_key(place, digest)) for place in self._beside):
                yield name, f"the blob {digest} is missing"

    def blobs(self) -> Iterator[Problem]:
        """Every blob is what its name says."""
        for name in self._places.files(layout.blobs_prefix(self._place)):
            digest = layout.digest_of_file(name.rpartition("/")[2])
            if digest is not None and self._hashes.of(name, digest.algorithm) not in (None, digest.encoded):
                yield name, "it is damaged: its bytes have another digest"

    def _legacy(self) -> list[str]:
        return [one for one in self._places.files(layout.legacy_prefix(self._place)) if one.endswith(".json")]

    def _has_manifest(self, digest: Digest) -> bool:
        if any(self._places.is_there(layout.manifest_key(place, digest)) for place in self._beside):
            return True
        return any(self._hashes.of(name, digest.algorithm) == digest.encoded for name in self._legacy())
