"""What could not be read for a client is read once more a little later; what is bad is set aside then, as by the scrub.

A disk, or the network to it, that fails for a moment fails reads of sound files, too: one failure takes nothing out.
But a blob that stays where it cannot be read is worse than one that is missing: every push is told that it is there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from attrs import frozen
from twisted.logger import Logger

from pkgd.blocking import Blocking
from pkgd.errors import FailedStorage, Storage
from pkgd.formats.digest import Digest
from pkgd.packages.poolfiles import PoolFiles
from pkgd.progress import Progress
from pkgd.scrub.hashing import Hashed, Hasher, Interrupted, Store
from pkgd.scrub.quarantine import Quarantine
from pkgd.scrub.scrubber import Stores
from pkgd.storage.layout import blob_key

__all__ = ["LATER", "Suspects"]

log = Logger()

# How long after the first failure it is read again, in seconds.
LATER = 60.0
# So many wait at most; the scrub finds the others.
_MOST = 1000


@frozen
class _Suspect:
    """A file: where it is, since when, what its hash begins with, and how it is taken out."""

    store: Store
    key: str
    since: float
    algorithm: str
    encoded: str
    take: Callable[[Hashed], Awaitable[list[str]]]


class Suspects:
    """Files on which a read has failed.

    :param seconds: the time of a clock that nobody sets.
    :param count: told how many have been taken out.
    """

    def __init__(
        self,
        stores: Stores,
        quarantine: Quarantine,
        hasher: Callable[[], Hasher],
        blocking: Blocking,
        seconds: Callable[[], float],
        count: Callable[[int], None],
    ) -> None:
        self._stores = stores
        self._quarantine = quarantine
        self._hasher = hasher
        self._blocking = blocking
        self._seconds = seconds
        self._count = count
        self._noted: dict[str, _Suspect] = {}

    def blob(self, place: str, digest: Digest) -> None:
        """A repository's blob could not be read.

        :param place: the repository's directory.
        """
        take = partial(self._quarantine.take_blob, place, digest)
        self._note(self._stores.images, blob_key(place, digest), digest, take)

    def package(self, directory: str, path: str) -> None:
        """A package's file could not be read.

        :param path: in the repository's directory; the last directory in it is how the file's SHA-256 begins.
        """
        files = PoolFiles(directory, self._stores.packages, self._blocking)
        begin = Digest("sha256", path.split("/")[-2])
        self._note(self._stores.packages, files.key(path), begin, partial(self._take_package, files, path))

    def _note(self, store: Store, key: str, digest: Digest, take: Callable[[Hashed], Awaitable[list[str]]]) -> None:
        if len(self._noted) < _MOST and key not in self._noted:
            self._noted[key] = _Suspect(store, key, self._seconds(), digest.algorithm, digest.encoded, take)

    async def look(self, progress: Progress) -> None:
        """Read again what it is time for. To be called every minute or so; what cannot be judged now is then."""
        for one in [one for one in self._noted.values() if self._seconds() - one.since >= LATER]:
            try:
                await self._judge(one, progress)
            except Interrupted:
                return
            except Storage as error:
                log.warn("{name} could not be read, and is still a suspect: {why}", name=one.key, why=error.message)
                continue
            del self._noted[one.key]

    async def _judge(self, one: _Suspect, progress: Progress) -> None:
        version = await self._blocking.disk(one.store.version, one.key)
        try:
            hashed = await self._hasher().hash(one.store, one.key, one.algorithm, progress)
            reason = "its bytes have another hash"
        except FailedStorage as error:
            hashed, reason = Hashed("unread", 0, version), f"it cannot be read: {error.operation}"
        if hashed is None:
            return
        if hashed.encoded.startswith(one.encoded):
            log.warn("{name} could not be read a moment ago, and is whole", name=one.key)
            return
        for name in await one.take(hashed):
            log.error("{name} is damaged: {reason}; it is served no more", name=name, reason=reason)
            self._count(1)

    async def _take_package(self, files: PoolFiles, path: str, hashed: Hashed) -> list[str]:
        """As the scrub does it: unless it is something else by now."""
        if await self._blocking.disk(self._stores.packages.version, files.key(path)) != hashed.version:
            return []
        await files.set_aside(path)
        return [files.key(path)]
