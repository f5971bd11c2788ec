"""What dnf, yum and zypper fetch of a repository, by its path."""

from __future__ import annotations

import re

from pkgd.packages.pool import Pool
from pkgd.packages.publishing import Publisher
from pkgd.packages.records import Served
from pkgd.packages.serving import Serving, media_type_of

__all__ = ["RpmServing"]

_GENERATION = re.compile(r"@([1-9][0-9]{0,14})/(.+)")
_BY_HASH = re.compile(r"repodata/([0-9a-f]{64})-[a-z.]+")


class RpmServing:
    """The files of one repository."""

    def __init__(self, publisher: Publisher, pool: Pool) -> None:
        self._serving = Serving(publisher)
        self._pool = pool

    async def open(self, path: str) -> Served:
        """See `RpmRepository.open`."""
        found = _GENERATION.fullmatch(path)
        number, below = (int(found[1]), found[2]) if found else (None, path)
        if below.startswith("Packages/"):
            return await self._pool.open(below, media_type_of(below))
        hashed = _BY_HASH.fullmatch(below)
        if hashed is not None:
            return await self._serving.open_digest(hashed[1], below)
        return await self._serving.open(below, number)
