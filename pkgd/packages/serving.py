"""Answers to those who fetch: files of a generation, current or kept, by path or by hash."""

from __future__ import annotations

import hashlib

from pkgd.errors import UnknownPackage
from pkgd.packages.generations import FileRef, Generation
from pkgd.packages.indices import segments
from pkgd.packages.publishing import Publisher
from pkgd.packages.records import Served
from pkgd.packages.segments import SegmentReader
from pkgd.storage.reader import BytesReader

__all__ = ["Serving", "media_type_of"]

_TYPES = {
    "gz": "application/gzip",
    "zst": "application/zstd",
    "xz": "application/x-xz",
    "deb": "application/vnd.debian.binary-package",
    "udeb": "application/vnd.debian.binary-package",
    "ddeb": "application/vnd.debian.binary-package",
    "rpm": "application/x-rpm",
    "xml": "application/xml",
    "asc": "application/pgp-signature",
    "gpg": "application/pgp-signature",
    "key": "application/pgp-keys",
    "dsc": "text/plain; charset=utf-8",
}


def media_type_of(path: str) -> str:
    """The media type of a file, by its name."""
    name = path.rpartition("/")[2]
    if name in ("Release", "InRelease", "Packages", "Sources"):
        return "text/plain; charset=utf-8"
    return _TYPES.get(name.rpartition(".")[2], "application/octet-stream")


class Serving:
    """Opens what a publisher has published."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def generation(self, number: int | None = None) -> Generation:
        """A generation that is kept; the current one, if no number is given.

        :raises UnknownPackage: if there is none.
        """
        kept = self._publisher.kept
        found = kept.current if number is None else await kept.get(number)
        if found is None:
            raise UnknownPackage("no such generation" if number is not None else "nothing is published yet")
        return found

    async def open(self, path: str, number: int | None = None) -> Served:
        """A file of a generation, by its path there.

        :raises UnknownPackage: if there is none.
        """
        generation = await self.generation(number)
        pinned = number is not None
        document = generation.documents.get(path)
        if document is not None:
            digest = hashlib.sha256(document).hexdigest()
            shared = self._publisher.kept.shares_second(generation)
            reader = BytesReader(document)
            return Served(reader, media_type_of(path), digest, generation.date, pinned, shared, generation.number)
        ref = generation.files.get(path)
        if ref is None:
            raise UnknownPackage(path)
        return await self._open(ref, path, generation, pinned)

    async def open_digest(self, digest: str, path: str) -> Served:
        """A file of any generation that is kept, by its SHA-256 in hex.

        :raises UnknownPackage: if there is none.
        """
        ref = await self._publisher.kept.find(digest)
        if ref is None:
            raise UnknownPackage(path)
        return await self._open(ref, path, await self.generation(), True)

    async def _open(self, ref: FileRef, path: str, generation: Generation, is_immutable: bool) -> Served:
        shelf = self._publisher.shelf
        index = await shelf.find_index(ref.index)
        if index is None:
            raise UnknownPackage(path)
        reader = SegmentReader(shelf.store, shelf.base, segments(index, ref.part, ref.form))
        shared = self._publisher.kept.shares_second(generation)
        return Served(reader, media_type_of(path), ref.sha256, generation.date, is_immutable, shared, generation.number)
