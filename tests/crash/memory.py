"""Everything the server has promised in all rounds so far, with what was last seen in each tag."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass, field
from typing import TypeVar

from tests.crash.content import Manifest
from tests.crash.ledger import BlobKey, Ledger, Promise, TagKey, TagSet, UploadSession

Key = TypeVar("Key")
Value = TypeVar("Value")

_ROUNDS_REPEATED = 2


@dataclass
class Memory:
    """The sum of the promises, the sessions that are still open, and the stray files that have been reported."""

    blobs: dict[BlobKey, int] = field(default_factory=dict)
    manifests: dict[BlobKey, Manifest] = field(default_factory=dict)
    tags: dict[TagKey, str | None] = field(default_factory=dict)
    sessions: dict[str, UploadSession] = field(default_factory=dict)
    strays: set[tuple[str, ...]] = field(default_factory=set)
    _recent: deque[Promise] = field(default_factory=lambda: deque(maxlen=_ROUNDS_REPEATED))

    def remind(self, ledger: Ledger) -> None:
        """Enter the tags of earlier rounds into the ledger of a new one, as writes acknowledged before it began."""
        for (repository, tag), digest in self.tags.items():
            ledger.acknowledge(ledger.begin(TagSet(repository, tag, digest)))

    def learn(self, promise: Promise, sessions: dict[str, UploadSession]) -> None:
        """Take in what a round has promised; its tags are entered as they are seen."""
        self.blobs |= promise.blobs
        self.manifests |= promise.manifests
        self.sessions |= sessions
        self._recent.append(promise)

    def blobs_to_check(self, rng: random.Random, sample: int) -> dict[BlobKey, int]:
        """Those of the last rounds and a sample of the older ones."""
        return _sample(self.blobs, rng, sample) | {k: v for p in self._recent for k, v in p.blobs.items()}

    def manifests_to_check(self, rng: random.Random, sample: int) -> dict[BlobKey, Manifest]:
        """Those of the last rounds and a sample of the older ones."""
        return _sample(self.manifests, rng, sample) | {k: v for p in self._recent for k, v in p.manifests.items()}

    def tags_to_check(self, promise: Promise, rng: random.Random, sample: int) -> dict[TagKey, frozenset[str | None]]:
        """Those whose value is not the one last seen for certain, and a sample of the others."""
        settled = {key for key, value in self.tags.items() if promise.tags.get(key) == frozenset({value})}
        return {k: v for k, v in promise.tags.items() if k not in settled} | _sample(promise.tags, rng, sample)


def _sample(known: dict[Key, Value], rng: random.Random, count: int) -> dict[Key, Value]:
    return dict(rng.sample(list(known.items()), min(count, len(known))))
