"""What is wrong with a suite or rpm repository: from the pointer to the files of its packages, and its signatures."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from attrs import field, frozen

from pkgd.backup.imagecheck import Hashing
from pkgd.backup.packages import Repository
from pkgd.backup.places import Places
from pkgd.blocking import InlineBlocking, finish_inline
from pkgd.errors import ConfigError, FailedStorage, InvalidKey
from pkgd.formats.openpgp import PrivateKey, dearmored, signed_by, text_signed_by
from pkgd.formats.openpgp.material import PublicMaterial
from pkgd.packages.generations import FileRef, Generation, read_pointer
from pkgd.packages.indices import Index, segments
from pkgd.packages.keyring import KeyRing
from pkgd.packages.layout import generation_key
from pkgd.packages.salvage import read_records
from pkgd.packages.segments import SegmentReader
from pkgd.packages.shelf import Shelf
from pkgd.storage.fsops import DurableTree, FileSystem
from pkgd.storage.local import LocalStore
from pkgd.storage.spool import Spool

__all__ = ["KnownKeys", "package_problems"]

Problem = tuple[str, str]

_PIECE = 1 << 20
# Each signature, and the document that it is of; a clear-signed one is its own.
_SIGNATURES = {
    "InRelease": "InRelease",
    "Release.gpg": "Release",
    "repodata/repomd.xml.asc": "repodata/repomd.xml",
}


@frozen
class KnownKeys:
    """The keys that may have signed what is published; not `is_complete` where there are others, elsewhere."""

    materials: tuple[PublicMaterial, ...] = field(repr=False, default=())
    is_complete: bool = False

    @classmethod
    def of(
        cls, places: Places, passphrases: Sequence[str], others: Sequence[PrivateKey], is_complete: bool
    ) -> KnownKeys:
        """Those in the directories of keys.

        :param passphrases: of those keys that have one.
        :param others: further keys.
        :param is_complete: whether there are none besides.
        """
        found = list(others)
        for directory in (one for one in places.key_directories() if one != "token-keys"):
            keys = _read_ring(places.path(directory), passphrases)
            is_complete = is_complete and keys is not None
            found += keys or ()
        materials = [one.material for key in found for one in key.certificate.signing]
        return cls(tuple(materials), is_complete and bool(materials))


def _read_ring(directory: str, passphrases: Sequence[str]) -> list[PrivateKey] | None:
    """The keys of a directory, or None if they cannot be read."""
    for passphrase in (None, *passphrases):
        try:
            return [one.key for one in KeyRing(directory, passphrase).stored()]
        except ConfigError:
            continue
    return None


def package_problems(
    places: Places, repository: Repository, base: str, hashes: Hashing, keys: KnownKeys
) -> Iterator[Problem]:
    """Every problem of a suite, or of an rpm repository.

    :param base: its directory.
    """
    tree = DurableTree(places.state, FileSystem(), fsync=False)
    blocking = InlineBlocking()
    shelf = Shelf(base, LocalStore(tree, blocking, Spool(tree)), blocking)
    records = finish_inline(read_records(shelf, repository.vocabulary))
    for name in records.damage:
        yield name, "it is missing or damaged"
    if not records.is_exact:
        yield base, "what is published cannot be read as a whole"
        return
    for package in records.packages.values():
        first = hashes.of(f"{repository.directory}/{package.path}")
        if first is not None and package.sha256 not in ("", first):
            yield f"{repository.directory}/{package.path}", "it is damaged: it has another hash than its record"
    for path in sorted({path for one in records.packages.values() for path in one.paths}):
        if not places.is_there(f"{repository.directory}/{path}"):
            yield f"{repository.directory}/{path}", "a file of a package that is published is missing"
    number = finish_inline(read_pointer(shelf))
    if number is not None:
        generation = Generation.decode(finish_inline(shelf.find_json(generation_key(base, number))))
        yield from _index_problems(shelf, generation)
        yield from _signature_problems(base, generation, keys)


def _index_problems(shelf: Shelf, generation: Generation) -> Iterator[Problem]:
    """Every index is, byte for byte, what the signed document says."""
    for path, ref in generation.files.items():
        index = finish_inline(shelf.index(ref.index))
        try:
            found = _hash_of_file(shelf, index, ref)
        except FailedStorage:
            found = None
        if found != (ref.size, ref.sha256):
            yield f"{shelf.base}/{path}", "it is damaged: it has another hash than what is signed"


def _hash_of_file(shelf: Shelf, index: Index, ref: FileRef) -> tuple[int, str]:
    reader, hashing, at = (
        SegmentReader(shelf.store, shelf.base, segments(index, ref.part, ref.form)),
        hashlib.sha256(),
        0,
    )
    try:
        while at < reader.size:
            end = finish_inline(reader.available(at))
            piece = reader.read_at(at, min(end - at, _PIECE))
            hashing.update(piece)
            at += len(piece)
    finally:
        reader.close()
    return at, hashing.hexdigest()


def _signature_problems(base: str, generation: Generation, keys: KnownKeys) -> Iterator[Problem]:
    """Every signature is by one of the keys."""
    if not keys.is_complete:
        return
    for path, signed in _SIGNATURES.items():
        if path not in generation.documents:
            continue
        try:
            if path == signed:
                signer = text_signed_by(generation.documents[path], keys.materials)
            else:
                signer = signed_by(dearmored(generation.documents[path]), generation.documents[signed], keys.materials)
        except (InvalidKey, FailedStorage):
            signer = None
        if signer is None:
            yield f"{base}/{path}", f"none of the keys has signed generation {generation.number}"
