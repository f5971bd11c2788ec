"""Small objects, read whole."""

from __future__ import annotations

from pkgd.blocking import Blocking
from pkgd.storage.interfaces import ObjectStore

__all__ = ["read_object"]


async def read_object(store: ObjectStore, blocking: Blocking, key: str) -> bytes | None:
    """A small object's bytes, or None if there is none.

    :raises Storage: if it cannot be read.
    """
    reader = await store.open(key)
    if reader is None:
        return None
    try:
        return await blocking.disk(reader.read_at, 0, reader.size) if reader.size else b""
    finally:
        reader.close()
