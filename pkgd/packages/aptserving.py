"""What apt fetches of a repository, by its path."""

from __future__ import annotations

import re
from collections.abc import Mapping

from pkgd.errors import UnknownPackage
from pkgd.packages.pool import Pool
from pkgd.packages.publishing import Publisher
from pkgd.packages.records import Served
from pkgd.packages.serving import Serving, media_type_of

__all__ = ["AptServing"]

_GENERATION = re.compile(r"@([1-9][0-9]{0,14})")
_BY_HASH = re.compile(r".+/by-hash/SHA256/[0-9a-f]{64}")


class AptServing:
    """The files of one repository."""

    def __init__(self, publishers: Mapping[str, Publisher], pool: Pool) -> None:
        """
        :param publishers: of the suites, by their names.
        """
        self._publishers = publishers
        self._pool = pool

    async def open(self, path: str) -> Served:
        """See `AptRepository.open`."""
        first, _, rest = path.partition("/")
        number = None
        if first.startswith("@"):
            found = _GENERATION.fullmatch(first)
            number = int(found[1]) if found else 0
            first, _, rest = rest.partition("/")
        if first == "pool":
            return await self._pool.open(f"pool/{rest}", media_type_of(rest))
        suite, _, below = rest.partition("/")
        if first != "dists" or suite not in self._publishers:
            raise UnknownPackage(path)
        serving = Serving(self._publishers[suite])
        if _BY_HASH.fullmatch(below):
            return await serving.open_digest(below.rpartition("/")[2], path)
        return await serving.open(below, number)
