"""Which paths each package has: read once from its file, and kept beside the pool.

A list is made of a package's own bytes, so it may be lost and is made again; it goes with the file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from itertools import islice

from attrs import field, frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import InvalidPackage
from pkgd.formats.aptcontents import is_listable
from pkgd.formats.ar import ReadAt
from pkgd.formats.deb import walk_deb_paths
from pkgd.packages.forms import compress, expand
from pkgd.packages.layout import apt_paths_key
from pkgd.storage.interfaces import ObjectStore
from pkgd.storage.whole import read_object

__all__ = ["PathList", "PathLists", "read_paths"]

log = Logger()

_FORM = "zst"
# data.tar of the largest real packages expands to a few GiB.
MOST_EXPANDED = 64 << 30
# One hop takes so many paths, and so many MiB of large files.
_PATHS = 2048
_PAUSES = 32


@frozen
class PathList:
    """A list as it is kept: how many paths there are, and their compressed text."""

    count: int
    data: bytes = field(repr=False)


async def read_paths(blocking: Blocking, read_at: ReadAt, size: int, limit: int = MOST_EXPANDED) -> PathList:
    """The paths in a package's file that Contents can have, sorted.

    Reads all of it, in many hops, so that small packages need not wait for a large one.

    :param limit: how many bytes data.tar may expand to.
    :raises InvalidPackage: if it is damaged, or larger than the limits.
    """
    walk = walk_deb_paths(read_at, size, limit)
    found: set[bytes] = set()
    while await blocking.work(_walk_on, walk, found):
        pass
    return await blocking.work(_pack, found)


def _walk_on(walk: Iterator[bytes], found: set[bytes]) -> bool:
    """Take some of the paths; whether there may be more."""
    pauses, taken = 0, 0
    for path in islice(walk, _PATHS):
        taken += 1
        if is_listable(path):
            found.add(path)
        elif not path:
            pauses += 1
            if pauses == _PAUSES:
                return True
    return taken == _PATHS


class PathLists:
    """The lists of one apt repository; packages are known by their paths in the pool."""

    def __init__(self, directory: str, store: ObjectStore, blocking: Blocking) -> None:
        """
        :param directory: the repository's prefix in the store.
        """
        self._directory = directory
        self._store = store
        self.blocking = blocking

    async def keep(self, file: str, paths: PathList) -> None:
        """Keep the list of a package.

        :raises Storage: if the machine refuses.
        """
        await self._store.put_bytes(apt_paths_key(self._directory, file), paths.data)

    async def read(self, file: str) -> list[bytes]:
        """The list of a package, made anew if it isn't there. One that cannot be read has no paths; the log says why.

        :raises Storage: if the machine refuses.
        """
        data = await read_object(self._store, self.blocking, apt_paths_key(self._directory, file))
        if data is not None:
            try:
                return await self.blocking.work(_unpack, data)
            except Exception as error:
                log.warn("the paths of {file} are read anew: {reason}", file=file, reason=error)
        return await self._make(file)

    async def discard(self, file: str) -> None:
        """Remove the list of a package, if there is one."""
        await self._store.delete(apt_paths_key(self._directory, file))

    async def _make(self, file: str) -> list[bytes]:
        reader = await self._store.open(f"{self._directory}/{file}")
        if reader is None:
            log.warn("Contents are without {file}, whose file is missing", file=file)
            return []
        try:
            paths = await read_paths(self.blocking, reader.read_at, reader.size)
        except InvalidPackage as error:
            log.warn("Contents are without {file}: {reason}", file=file, reason=error)
            paths = _pack(())
        finally:
            reader.close()
        await self.keep(file, paths)
        return await self.blocking.work(_unpack, paths.data)


def _pack(paths: Collection[bytes]) -> PathList:
    return PathList(len(paths), compress(_FORM, b"\n".join(sorted(paths))))


def _unpack(data: bytes) -> list[bytes]:
    text = expand(_FORM, data)
    return text.split(b"\n") if text else []
