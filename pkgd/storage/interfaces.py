"""What a store is: seven methods on keys. Every store passes `tests/storage/contract.py`.

An object is put once and whole; what is unfinished lives in the spool (`pkgd.storage.spool`).
No rename, append or directory shows here, so that an S3 bucket can be a store.
"""

from __future__ import annotations

from typing import Protocol

from attrs import frozen

__all__ = [
    "Dated",
    "DatedObjects",
    "Dating",
    "Entries",
    "Entry",
    "ObjectStore",
    "Pruning",
    "Reader",
    "Staged",
    "StoredReader",
    "Versioned",
]


@frozen
class Entry:
    """One name directly under a prefix: an object, or (`is_prefix`) something with names under it."""

    name: str
    is_prefix: bool


Entries = list[Entry]


class Reader(Protocol):
    """An open object. Whoever opened it closes it."""

    size: int

    def fileno(self) -> int | None:
        """A descriptor for sendfile, or None."""

    async def available(self, offset: int) -> int:
        """Where the bytes end that can be read now; waits until that is behind `offset`.

        A stored object is there as a whole; one that is still arriving is not.

        :raises PkgdError: if they will never come.
        """

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`, empty at the end. Blocks: call it in the disk pool.

        :raises Storage: if the bytes cannot be read.
        """

    def close(self) -> None:
        """Release what is held. May be called again."""


class StoredReader(Reader, Protocol):
    """An open object of a store, whole.

    `modified` is when its bytes were written, in seconds since 1970.
    """

    modified: int


class Staged(Protocol):
    """A finished file in the spool, ready to become an object."""

    path: str
    size: int


class ObjectStore(Protocol):
    """Objects by key. A key is a relative path of checked names, made by `pkgd.storage.layout` only.

    What any method reports as present or absent is durable: it survives a power cut.
    All raise `Storage` errors where the machine refuses.
    """

    async def stat(self, key: str) -> int | None:
        """The object's size, or None if there is none."""

    async def open(self, key: str) -> StoredReader | None:
        """A reader, or None if there is no such object."""

    async def put(self, key: str, staged: Staged) -> None:
        """Make a staged file the object, atomically and durably. The staged file is consumed.

        Where the key already has an object it is kept: keys of large objects name their content. One
        of another size is damaged, and replaced.
        """

    async def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object, atomically and durably, replacing an older one."""

    async def link(self, source: str, target: str) -> bool:
        """Make `target` the same object as `source`, without copying where possible.

        False if there is no source. Keeps a target that exists, unless it is damaged as in `put`.
        """

    async def delete(self, key: str) -> bool:
        """Remove the object, durably. False if there was none."""

    async def list(self, prefix: str) -> list[Entry]:
        """What is directly under the prefix, in no order; empty if there is no such prefix."""


class Versioned(Protocol):
    """An extra ability: to say at once, without a thread, whether an object has changed."""

    def version(self, key: str) -> object | None:
        """A value that is equal as long as the object is the same, or None if there is no object."""


@frozen
class Dated:
    """An object directly under a prefix: its size, and when its bytes were written and its names last changed.

    Times are in seconds since the epoch.
    """

    name: str
    size: int
    modified: float
    changed: float


DatedObjects = list[Dated]


class Dating(Protocol):
    """An extra ability: to say of all objects under a prefix how old they are."""

    async def dated(self, prefix: str) -> list[Dated]:
        """The objects directly under the prefix, in no order; empty if there is no such prefix."""


class Pruning(Protocol):
    """An extra ability: to do away with prefixes that have nothing below them, where a store has such."""

    async def prune(self, prefix: str) -> None:
        """Remove the prefix if there is nothing below it, and then those above it of which the same is so.

        Whoever puts an object there at the same time gets it.
        """
