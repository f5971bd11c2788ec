"""Tags and manifests of hosted repositories that go.

A tag is as old as its last push. A manifest without a tag goes if it is older than its rule says, nothing that stays
names it or is its subject, and, as with garbage, for a grace no client was told that it is here, no manifest that
names it has come in, and no tag was taken from it; so after a start nothing of the kind goes for a grace. Everything
is asked once more under the repository's lock, under which it is removed as a client's DELETE would remove it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from attrs import frozen

from pkgd.blocking import Blocking
from pkgd.errors import ImmutableTag, PkgdError, UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.registry.contents import ContentsReader
from pkgd.registry.leases import Leases
from pkgd.registry.manifests import Manifests
from pkgd.registry.naming import UnreadableManifest, namings
from pkgd.registry.stored import StoredManifests
from pkgd.retention.graph import Graph, is_attached
from pkgd.retention.outcomes import Goner, Order, Outcome, Times
from pkgd.retention.rules import Item, Rule, Rules, going, in_words
from pkgd.storage.interfaces import Dating, ObjectStore
from pkgd.storage.layout import (
    digest_of_file,
    directories,
    directory,
    legacy_key,
    legacy_prefix,
    manifests_prefix,
    tag_key,
    tag_of_legacy,
    tags_prefix,
)

__all__ = ["ImageRetention"]


class _Changed(Exception):
    """What was to go has come to be of use meanwhile."""


class _Store(ObjectStore, Dating, Protocol):
    """A store that dates its objects, too."""


@frozen
class _Set:
    """A tag as it was set: where it points to, and when."""

    digest: Digest
    pushed: float


class ImageRetention:
    """Looks at one repository after another. `manifests` removes."""

    def __init__(
        self,
        store: _Store,
        blocking: Blocking,
        stored: StoredManifests,
        contents: ContentsReader,
        leases: Leases,
        manifests: Manifests,
        times: Times,
    ) -> None:
        self.manifests = manifests
        self._store = store
        self._blocking = blocking
        self._stored = stored
        self._contents = contents
        self._leases = leases
        self._times = times

    async def run(self, name: RepositoryName, rules: Rules, order: Order) -> Outcome:
        """What goes of a repository."""
        began, found = self._times.monotonic(), Outcome(f"oci:{name}")
        try:
            tags = await self._tags(name)
            untagged = await self._untagged(name, rules.of_untagged(found.resource), tags, order, began)
            await self._run_tags(name, rules, order, tags, found)
            await self._run_manifests(name, order, untagged, found, began)
        except _Changed:
            pass  # the rest is for the next pass
        except (PkgdError, UnreadableManifest) as error:
            found.problem = error.message if isinstance(error, PkgdError) else str(error)
        return found

    # -- tags --

    async def _run_tags(
        self, name: RepositoryName, rules: Rules, order: Order, tags: dict[str, _Set], found: Outcome
    ) -> None:
        def is_immutable(tag: str) -> bool:
            return self.manifests.is_immutable(name, tag)

        now = self._times.now()
        old, found.stays = await self._blocking.work(_old_tags, found.resource, rules, tags, is_immutable, now)
        for goner in old:
            if order.is_over():
                return
            if not order.apply or await self._remove_tag(name, Tag(goner.name), tags[goner.name]):
                found.goes.append(goner)
                if order.apply:
                    order.note(found.resource, goner)

    async def _remove_tag(self, name: RepositoryName, tag: Tag, one: _Set) -> bool:
        """Remove a tag, unless it has been pushed again. False if it has, or is gone already."""

        async def check() -> None:
            if await self._stored.target(name, tag) != one.digest or await self._pushed(name, tag) != int(one.pushed):
                raise _Changed

        try:
            await self.manifests.delete(name, tag, check)
        except (_Changed, UnknownManifest, ImmutableTag):
            return False
        return True

    async def _pushed(self, name: RepositoryName, tag: Tag) -> int | None:
        """When a tag was set, to the second."""
        places = directories(name)
        for key in (*(tag_key(one, tag) for one in places), *(legacy_key(one, tag) for one in places)):
            reader = await self._store.open(key)
            if reader is not None:
                reader.close()
                return reader.modified
        return None

    async def _tags(self, name: RepositoryName) -> dict[str, _Set]:
        """Every tag.

        :raises UnreadableManifest: if it isn't known where one of them points to.
        """
        pushed = dict[str, float]()
        for place in reversed(directories(name)):
            for file in await self._store.dated(legacy_prefix(place)):
                tag = tag_of_legacy(file.name)
                if tag is not None:
                    pushed[tag] = file.modified
        for place in reversed(directories(name)):
            pushed |= {file.name: file.modified for file in await self._store.dated(tags_prefix(place))}
        found = dict[str, _Set]()
        for one in await self._contents.tags(name):
            target = await self._stored.target(name, Tag(one))
            if target is not None:
                found[one] = _Set(target, pushed.get(one, self._times.now()))
            elif await self._pushed(name, Tag(one)) is not None:  # else it has just been deleted
                raise UnreadableManifest(f"the tag {one} is damaged")
        return found

    # -- manifests without a tag --

    async def _untagged(
        self, name: RepositoryName, rule: Rule | None, tags: dict[str, _Set], order: Order, began: float
    ) -> Sequence[Goner]:
        """The manifests that go, those first that name others of them.

        :raises UnreadableManifest: if one cannot be read: nobody knows what it names.
        """
        if rule is None or rule.untagged is None:
            return []
        manifests = [one async for one in namings(self._store, self._blocking, name)]
        pushed, pointers = await self._manifest_dates(name), {tag: str(one.digest) for tag, one in tags.items()}
        limit = self._times.now() - (max(rule.untagged, order.grace) if order.alone else rule.untagged)
        graph = await self._blocking.work(Graph.of, manifests, pointers)
        young = [one for one in graph.names if pushed.get(one, math.inf) > limit]
        doomed = await self._blocking.work(graph.unkept, young)
        used = [one for one in doomed if not self._is_free(name, Digest.parse(one), order, began)]
        if used:
            doomed = await self._blocking.work(graph.unkept, [*young, *used])
        reason = f"has no tag, and is older than {in_words(rule.untagged)}"
        return [Goner("manifest", one, rule.title, reason, pushed[one], digest=one) for one in doomed]

    async def _run_manifests(
        self, name: RepositoryName, order: Order, untagged: Sequence[Goner], found: Outcome, began: float
    ) -> None:
        """
        :raises _Changed: if one has come to be of use: so may be what it names.
        """
        for one in untagged:
            if order.is_over():
                return
            if order.apply:
                await self._remove_manifest(name, Digest.parse(one.name), order, began)
                order.note(found.resource, one)
            found.goes.append(one)

    async def _remove_manifest(self, name: RepositoryName, digest: Digest, order: Order, began: float) -> None:
        async def check() -> None:
            if not self._is_free(name, digest, order, began):
                raise _Changed

        try:
            await self.manifests.delete(name, digest, check)
        except (UnknownManifest, ImmutableTag) as error:
            raise _Changed from error

    def _is_free(self, name: RepositoryName, digest: Digest, order: Order, began: float) -> bool:
        """Whether no client may be about to count on a manifest."""
        if order.alone:
            return True
        place = directory(name)
        touched, limit = self._leases.last_touch(place, digest), self._leases.horizon(place) - order.grace
        return self._times.began <= limit and touched <= limit and touched < began

    async def _manifest_dates(self, name: RepositoryName) -> dict[str, float]:
        """When each manifest came."""
        found = dict[str, float]()
        for place in directories(name):
            for file in await self._store.dated(manifests_prefix(place)):
                digest = digest_of_file(file.name)
                if digest is not None:
                    found[str(digest)] = max(file.modified, found.get(str(digest), 0.0))
        return found


def _old_tags(
    resource: str, rules: Rules, tags: Mapping[str, _Set], is_immutable: Callable[[str], bool], now: float
) -> tuple[list[Goner], int]:
    """The tags that go, and how many of those stay that a rule decides about which has limits."""
    decided: dict[Rule, list[Item[str]]] = {}
    for tag, one in tags.items():
        rule = None if is_attached(tag) else rules.of_tag(resource, tag)
        if rule is not None and rule.has_limits and not is_immutable(tag):
            decided.setdefault(rule, []).append(Item(tag, (one.pushed, tag), one.pushed))
    found = [
        Goner("tag", item.key, rule.title, rule.reason, item.pushed, digest=str(tags[item.key].digest))
        for rule, items in decided.items()
        for item in going(rule, items, now)
    ]
    return found, sum(map(len, decided.values())) - len(found)
