"""Files read again and hashed, so slowly that nobody else notices."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.progress import Progress
from pkgd.storage.interfaces import ObjectStore, Reader, Versioned

__all__ = ["Hashed", "Hasher", "Interrupted", "Store"]

_PIECE = 1 << 20
_LEAST = 4096
# Interrupts are noticed this often each second, at the rate that is configured.
_PIECES_A_SECOND = 10
# So many files are remembered, in case they have other names.
_MOST_KNOWN = 16384


class Interrupted(Exception):
    """Nobody waits for the rest."""


class Store(ObjectStore, Versioned, Protocol):
    """A store that tells versions, too."""


@frozen
class Hashed:
    """What a file's bytes are: hash in hex, how many, and which version of the file that was."""

    encoded: str
    size: int
    version: object | None


class Hasher:
    """Hashes objects of stores, for one pass; a file with several names once, as a rule."""

    def __init__(self, blocking: Blocking, pause: Callable[[float], Awaitable[None]] | None, rate: int) -> None:
        """
        :param pause: waits for so many seconds; None: as fast as it goes.
        :param rate: bytes a second; 0: as fast as it goes.
        """
        self._blocking = blocking
        self._pause = pause if rate else None
        self._rate = rate
        self._piece = max(_LEAST, min(_PIECE, rate // _PIECES_A_SECOND)) if self._pause else _PIECE
        self._known: dict[tuple[object, str], Hashed] = {}

    async def hash(self, store: Store, key: str, algorithm: str, progress: Progress) -> Hashed | None:
        """What an object's bytes are; None if there is none.

        :raises Interrupted: if it is over.
        :raises Storage: if it cannot be read.
        """
        if progress.is_over():
            raise Interrupted()
        version = await self._blocking.disk(store.version, key)
        known = self._known.get((version, algorithm))
        if known is not None and version is not None:
            return known
        reader = await store.open(key)
        if reader is None:
            return None
        try:
            encoded = await self._read(reader, algorithm, progress)
        finally:
            reader.close()
        found = Hashed(encoded, reader.size, version)
        if len(self._known) >= _MOST_KNOWN:
            self._known.clear()
        self._known[version, algorithm] = found
        return found

    async def _read(self, reader: Reader, algorithm: str, progress: Progress) -> str:
        running, at = hashlib.new(algorithm, usedforsecurity=False), 0
        while count := await self._blocking.disk(_step, reader, running, at, self._piece):
            at += count
            progress.advance(count)
            if self._pause is not None:
                await self._pause(count / self._rate)
            if progress.is_over():
                raise Interrupted()
        return running.hexdigest()


def _step(reader: Reader, running: Any, at: int, size: int) -> int:
    """Hash the next bytes; returns how many there were."""
    piece = reader.read_at(at, size)
    running.update(piece)
    return len(piece)
