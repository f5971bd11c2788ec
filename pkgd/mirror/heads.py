"""What upstreams have lately told of manifests by HEAD: nobody has to ask again at once.

A manifest that a client fetches by its digest afterwards gets the tags that were told to stand for it.
"""

from __future__ import annotations

from collections import OrderedDict

from twisted.internet.interfaces import IReactorTime

from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Reference, Tag
from pkgd.mirror.answers import ManifestHead

__all__ = ["HEAD_SECONDS", "MAX_HEADS", "Heads"]

# It is remembered for so many references, and for so long at least.
MAX_HEADS = 4096
HEAD_SECONDS = 60.0


class Heads:
    """Those of all upstreams; what was told longest ago is forgotten first.

    :param tag_ttl: how long a tag is believed, in seconds.
    """

    def __init__(self, clock: IReactorTime, tag_ttl: float) -> None:
        self._clock = clock
        self._tag_ttl = tag_ttl
        self._heads: OrderedDict[tuple[Origin, str], ManifestHead] = OrderedDict()

    def note(self, origin: Origin, reference: Reference, head: ManifestHead) -> None:
        """It has been told."""
        key = (origin, str(reference))
        self._heads[key] = head
        self._heads.move_to_end(key)
        while len(self._heads) > MAX_HEADS:
            self._heads.popitem(last=False)

    def forget(self, origin: Origin, reference: Reference) -> None:
        """There is no such manifest any more."""
        self._heads.pop((origin, str(reference)), None)

    def told(self, origin: Origin, reference: Reference, head_only: bool, started: float) -> ManifestHead | None:
        """What somebody else has been told since the request began; for a HEAD, within the tag's time. Or None.

        :param started: when the request began.
        """
        head = self._heads.get((origin, str(reference)))
        if head is None or started < head.told_at <= self._clock.seconds():
            return head
        return head if head_only and self._since(head.told_at) < self._tag_ttl else None

    def tags_of(self, origin: Origin, digest: Digest) -> dict[Tag, float]:
        """The tags that the upstream has lately said to stand for a digest, each with when it did."""
        told = [(reference, head) for (one, reference), head in self._heads.items() if one == origin]
        lately = max(self._tag_ttl, HEAD_SECONDS)
        return {
            Tag(reference): head.told_at
            for reference, head in told
            if head.digest == digest and self._since(head.told_at) <= lately and ":" not in reference
        }

    def _since(self, then: float) -> float:
        """Seconds since something was told; a clock that has been set back makes nothing fresh for ever."""
        return abs(self._clock.seconds() - then)
