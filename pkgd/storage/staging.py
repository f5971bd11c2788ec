"""Pieces of a body into a staged file: written and hashed by threads, on two cores where it pays."""

from __future__ import annotations

from pkgd.blocking import Blocking
from pkgd.storage.staged import StagedFile

__all__ = ["store_piece"]

# From this size on a piece is worth a second thread hop.
PARALLEL_BYTES = 128 * 1024


async def store_piece(blocking: Blocking, file: StagedFile, piece: memoryview) -> None:
    """Append a piece; its buffer is used until this returns.

    :raises Storage: as `StagedFile.append`.
    """
    if len(piece) < PARALLEL_BYTES:
        await blocking.disk(file.append, piece)
        return
    hashing = blocking.work(file.hash, piece)
    try:
        await blocking.disk(file.write, piece)
    finally:
        await hashing  # the piece's buffer is lent until both are done
