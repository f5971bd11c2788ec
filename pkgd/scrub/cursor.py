"""How far the recurring scrub is: a small file, so that a restart goes on where the daemon was stopped."""

from __future__ import annotations

import json

from attrs import frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import Storage
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.whole import read_object

__all__ = ["KEY", "Cursor", "CursorFile", "Position"]

log = Logger()

# In the state directory.
KEY = "scrub.json"

# A unit (a directory of images, or what is published of packages), in the order of passes, and a file of it.
Position = tuple[tuple[str, ...], str]


@frozen
class Cursor:
    """When the pass began, in seconds since the epoch, and what it has looked at last; None if it is through."""

    began: float
    after: Position | None = None


class CursorFile:
    """The file. Without it, or if it is damaged, the next pass begins from the front."""

    def __init__(self, store: ObjectStore, blocking: Blocking) -> None:
        """
        :param store: of the state directory.
        """
        self._store = store
        self._blocking = blocking

    async def read(self) -> Cursor | None:
        """What it says, or None."""
        try:
            data = await read_object(self._store, self._blocking, KEY)
            document = json.loads(data or b"null")
            if document is None:
                return None
            began, after = float(document["began"]), document["after"]
            if after is None:
                return Cursor(began)
            return Cursor(began, (tuple(str(one) for one in after["unit"]), str(after["file"])))
        except (Storage, ValueError, KeyError, TypeError) as error:
            log.warn("the scrub begins anew: {file} cannot be read: {reason}", file=KEY, reason=str(error))
            return None

    async def write(self, cursor: Cursor) -> None:
        """Say it. Where the disk takes nothing, the next pass repeats something."""
        after = None if cursor.after is None else {"unit": list(cursor.after[0]), "file": cursor.after[1]}
        try:
            await self._store.put_bytes(KEY, json.dumps({"began": cursor.began, "after": after}).encode())
        except Storage as error:
            log.warn("how far the scrub is cannot be noted: {reason}", reason=error.message)
