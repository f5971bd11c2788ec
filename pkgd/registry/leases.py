"""Leases: blobs and manifests that a client has just been told of, and is about to name in a manifest.

A blob that no manifest names is garbage, unless somebody is pushing: between the upload of a layer, or the HEAD that
finds it there, and the manifest, nothing names it. Whoever tells a client that a blob is here, or accepts a manifest
that names it, touches its lease *before* he looks; whoever removes garbage asks for it, under the repository's lock.
So it is with a manifest that no tag points to; and who takes the last tag from one touches it, too.

All of it is in memory: after a restart nothing is garbage until it has been seen to be so twice, by this process.
"""

from __future__ import annotations

from collections.abc import Callable

from pkgd.formats.digest import Digest

__all__ = ["Leases"]

# So many are remembered; beyond that, everything counts as touched now.
MAX_LEASES = 1 << 18


class Leases:
    """When each blob or manifest of each place was last touched, and which uploads are open, on the monotonic clock."""

    def __init__(self, monotonic: Callable[[], float], most: int = MAX_LEASES) -> None:
        self._monotonic = monotonic
        self._most = most
        self._touched: dict[tuple[str, str], float] = {}
        self._open: dict[str, tuple[str, float]] = {}
        # Before this, nothing is known.
        self._floor = float("-inf")

    def touch(self, place: str, digest: Digest) -> None:
        """A client is being told of the object, or a manifest that names it is being accepted, or loses a tag."""
        if len(self._touched) >= self._most:
            self._touched.clear()
            self._floor = self._monotonic()
        self._touched[place, str(digest)] = self._monotonic()

    def last_touch(self, place: str, digest: Digest) -> float:
        """When that was last the case; -inf for never."""
        return max(self._touched.get((place, str(digest)), self._floor), self._floor)

    def begin(self, place: str, upload: str) -> None:
        """An upload is open: what its client has pushed before is as fresh as when it was begun."""
        self._open.setdefault(upload, (place, self._monotonic()))

    def end(self, upload: str) -> None:
        """It isn't any more."""
        self._open.pop(upload, None)

    def horizon(self, place: str) -> float:
        """Now, or when the oldest upload was begun that is open in the place."""
        return min([self._monotonic(), *(since for one, since in self._open.values() if one == place)])

    def prune(self, before: float) -> None:
        """Forget those that were last touched before that time."""
        self._touched = {key: at for key, at in self._touched.items() if at >= before}
