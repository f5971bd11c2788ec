"""Tags that stay where they are once they are set (`repositories.oci.immutable_tags`), and all that they lead to.

A tag that still stands, but whose layers can be taken from under it, would not be worth its name. So nothing that such
a tag's image is made of can be deleted: manifests, those of an index, config, layers.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.errors import ImmutableTag, InvalidManifest, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.globs import Globs
from pkgd.formats.names import RepositoryName, Tag
from pkgd.formats.oci import parse_manifest
from pkgd.registry.contents import ContentsReader
from pkgd.registry.stored import StoredManifests

__all__ = ["ImmutableTags"]

# Manifests of which it is remembered what they name.
MAX_REMEMBERED = 4096


@frozen
class _Named:
    """What a manifest names."""

    blobs: frozenset[Digest] = frozenset()
    children: frozenset[Digest] = frozenset()


class ImmutableTags:
    """Knows which tags are immutable, and what they need."""

    def __init__(
        self, globs: Sequence[str], contents: ContentsReader, stored: StoredManifests, blocking: Blocking
    ) -> None:
        """
        :param globs: over `repository:tag`.
        """
        self._globs = Globs(globs) if globs else None
        self._contents = contents
        self._stored = stored
        self._blocking = blocking
        self._named: OrderedDict[Digest, _Named] = OrderedDict()

    def covers(self, name: RepositoryName, tag: str) -> bool:
        """Whether the tag, once it is set, stays."""
        return self._globs is not None and self._globs.match(f"{name}:{tag}")

    async def check(self, name: RepositoryName, digest: Digest) -> None:
        """Make sure that a blob or a manifest can be spared. The caller holds the repository's lock.

        :raises ImmutableTag: if an immutable tag leads to it.
        """
        if self._globs is None:
            return
        seen: set[Digest] = set()
        for tag in await self._contents.tags(name):
            if self.covers(name, tag):
                target = await self._stored.target(name, Tag(tag))
                if target is not None and await self._leads(name, target, digest, seen):
                    raise ImmutableTag(name, tag)

    async def _leads(self, name: RepositoryName, start: Digest, digest: Digest, seen: set[Digest]) -> bool:
        """Whether the way from a manifest leads to the digest; `seen` are those from which it doesn't."""
        waiting = [start]
        while waiting:
            manifest = waiting.pop()
            if manifest == digest:
                return True
            if manifest not in seen:
                seen.add(manifest)
                named = await self._names(name, manifest)
                if digest in named.blobs:
                    return True
                waiting += named.children
        return False

    async def _names(self, name: RepositoryName, digest: Digest) -> _Named:
        found = self._named.get(digest)
        if found is None:
            try:
                stored = await self._stored.get(name, digest)
                manifest = await self._blocking.work(parse_manifest, stored.data, stored.media_type)
            except (UnknownManifest, InvalidManifest):
                # An index's children may be absent; an old tree may hold anything.
                return _Named()
            found = _Named(
                frozenset(one.digest for one in manifest.blobs), frozenset(one.digest for one in manifest.children)
            )
            self._named[digest] = found
            if len(self._named) > MAX_REMEMBERED:
                self._named.popitem(last=False)
        return found
