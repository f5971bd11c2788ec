"""The referrers of a manifest: which others name it as their subject (distribution-spec, "Listing Referrers")."""

from __future__ import annotations

from typing import Any

import msgspec
from attrs import frozen
from twisted.logger import Logger

from pkgd.errors import FailedStorage, InvalidDigest, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.formats.oci import INDEX
from pkgd.registry.contents import ContentsReader
from pkgd.registry.stored import StoredManifests
from pkgd.sharing import KeyedLock
from pkgd.state import Index

__all__ = ["Referrers", "ReferrersPage", "fallback_tag", "page_of", "parse_entries", "wellformed_entries"]

log = Logger()

# Clients read at most 4 MiB of a list; a page ends well below.
PAGE_BYTES = 3 << 20
PAGE_ENTRIES = 1000


@frozen
class ReferrersPage:
    """A part of the list: an OCI index, and the digest after which the next part begins, if any."""

    index: bytes
    next: str | None


class Referrers:
    """Lists from the index, and from the tags that clients kept before the API existed."""

    def __init__(self, stored: StoredManifests, contents: ContentsReader, index: Index, locks: KeyedLock) -> None:
        self._stored = stored
        self._contents = contents
        self._index = index
        self._locks = locks

    async def page(
        self, name: RepositoryName, subject: Digest, artifact_type: str | None, after: str = ""
    ) -> ReferrersPage:
        """The referrers of a subject, which need not exist, in the order of their digests.

        :param artifact_type: only those of this type.
        :param after: the last digest of the page before.
        """
        known = await self._known(name, subject)
        return page_of([*await self._fallback(name, subject), *known], artifact_type, after)

    async def _known(self, name: RepositoryName, subject: Digest) -> list[bytes]:
        """The entries of manifests that name the subject."""
        try:
            await self._contents.ensure_known(name, self._locks)
            return [entry for _, entry in await self._index.referrers(name, str(subject))]
        except FailedStorage as error:
            # On a full disk the index may not learn of a repository, and reads go on: each from the tree, in turn.
            log.warn(
                "referrers in {name} are looked for without the index: {reason}", name=name, reason=error.operation
            )
        async with self._locks.holding(name):
            return await self._contents.referrers(name, subject)

    async def _fallback(self, name: RepositoryName, subject: Digest) -> list[bytes]:
        """The entries of the list that clients keep under the fallback tag.

        "Referrers Tag Schema": the registry must include such lists once it has the API.
        """
        try:
            found = await self._stored.get(name, Tag.parse(fallback_tag(subject)))
        except UnknownManifest:
            return []
        return wellformed_entries(found.data)


def fallback_tag(subject: Digest) -> str:
    """The tag of the list that clients keep where there is no API ("Referrers Tag Schema")."""
    return f"{subject.algorithm[:32]}-{subject.encoded[:64]}"


def wellformed_entries(index: bytes) -> list[bytes]:
    """The entries of somebody else's list that can be passed on, each as JSON; none if it is no list."""
    try:
        return parse_entries(index)
    except ValueError:
        return []


def parse_entries(index: bytes) -> list[bytes]:
    """The same, of what must be a list.

    :raises ValueError: if it is none.
    """
    try:
        entries = msgspec.json.decode(index, type=_Index).manifests
    except RecursionError as error:
        raise ValueError("it nests too deeply") from error
    return [msgspec.json.encode(one) for one in entries if _is_descriptor(one)]


def page_of(entries: list[bytes], artifact_type: str | None, after: str) -> ReferrersPage:
    """One page of a list: in the order of the digests, the last of equal ones, from behind `after`."""
    known = {entry.digest: (entry, one) for one in entries if (entry := _ENTRY.decode(one)).digest > after}
    wanted = [known[digest] for digest in sorted(known)]
    if artifact_type is not None:
        wanted = [one for one in wanted if one[0].artifact_type == artifact_type]
    count = _page_length([len(one) for _, one in wanted])
    document = {
        "schemaVersion": 2,
        "mediaType": INDEX,
        "manifests": [msgspec.Raw(one) for _, one in wanted[:count]],
    }
    return ReferrersPage(msgspec.json.encode(document), wanted[count - 1][0].digest if count < len(wanted) else None)


class _Index(msgspec.Struct):
    """Somebody else's list."""

    manifests: list[Any]


class _Entry(msgspec.Struct):
    """What matters of an entry here."""

    digest: str
    artifact_type: Any = msgspec.field(name="artifactType", default=None)


_ENTRY = msgspec.json.Decoder(_Entry)


def _is_descriptor(entry: Any) -> bool:
    """Whether an entry of a client's list names a manifest; its digest goes into a header."""
    try:
        Digest.parse(entry["digest"])
    except (TypeError, KeyError, InvalidDigest):
        return False
    return True


def _page_length(sizes: list[int]) -> int:
    """How many entries fit into one page; at least one."""
    total = 0
    for count, size in enumerate(sizes[:PAGE_ENTRIES]):
        total += size + 1
        if total > PAGE_BYTES and count:
            return count
    return min(len(sizes), PAGE_ENTRIES)
