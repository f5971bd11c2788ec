"""What the server has promised: every operation with the moments of its request and of its acknowledgement.

From that the ledger derives what must be there after a crash (`Promise`): an acknowledged effect, unless a later
one replaced it; an effect that was still in flight may be there or not.
A moment is an order number and a position.
The position counts what the disk had been told at that moment, so that the same ledger judges every power cut of
one run; where only processes are killed it stays 0.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum

from tests.crash.content import Content, Manifest

BlobKey = tuple[str, str]
"""Repository and digest, of a blob or a manifest."""
TagKey = tuple[str, str]
"""Repository and tag."""


@dataclass(frozen=True, slots=True)
class BlobStored:
    """The repository holds the blob."""

    repository: str
    digest: str
    size: int


@dataclass(frozen=True, slots=True)
class ManifestStored:
    """The repository holds the manifest."""

    repository: str
    manifest: Manifest


@dataclass(frozen=True, slots=True)
class TagSet:
    """The tag names the manifest, or nothing."""

    repository: str
    tag: str
    digest: str | None


Effect = BlobStored | ManifestStored | TagSet


@dataclass(frozen=True, slots=True, order=True)
class Moment:
    """A point of the run: how many came before it, and how much the disk had been told."""

    order: int
    position: int


@dataclass(slots=True)
class Operation:
    """One request that changes something; `acknowledged` is None until a 2xx has arrived."""

    effects: tuple[Effect, ...]
    started: Moment
    acknowledged: Moment | None = None

    def is_acknowledged_at(self, position: float) -> bool:
        """Whether the client had its 2xx when the disk was at the position."""
        return self.acknowledged is not None and self.acknowledged.position <= position


class Ending(Enum):
    """The request that ends an upload session."""

    COMMIT = "commit"
    CANCEL = "cancel"


@dataclass
class UploadSession:
    """An open upload: how many bytes of the content are acknowledged, and the ending that is in flight."""

    repository: str
    location: str
    content: Content
    acknowledged: int = 0
    ending: Ending | None = None

    @property
    def identifier(self) -> str:
        """The session's id: the last part of its path."""
        return self.location.partition("?")[0].rpartition("/")[2]


@dataclass
class Promise:
    """What must be found after a crash (`blobs`, `manifests`, `tags`) and what may be found besides."""

    blobs: dict[BlobKey, int] = field(default_factory=dict)
    manifests: dict[BlobKey, Manifest] = field(default_factory=dict)
    tags: dict[TagKey, frozenset[str | None]] = field(default_factory=dict)
    possible_blobs: set[BlobKey] = field(default_factory=set)
    possible_manifests: dict[BlobKey, Manifest] = field(default_factory=dict)


@dataclass
class Ledger:
    """The operations and sessions of one run of the server, and what was wrong while it ran."""

    position: Callable[[], int] = lambda: 0
    operations: list[Operation] = field(default_factory=list)
    sessions: dict[str, UploadSession] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    _moments: int = 0

    def begin(self, *effects: Effect) -> Operation:
        """Record that a request with these effects is about to be sent."""
        operation = Operation(effects, self._now())
        self.operations.append(operation)
        return operation

    def acknowledge(self, operation: Operation) -> None:
        """Record that the request was answered with success."""
        operation.acknowledged = self._now()

    def withdraw(self, operation: Operation) -> None:
        """Forget a request that was answered with "there is nothing to do"."""
        self.operations.remove(operation)

    def promise(self, position: float = float("inf")) -> Promise:
        """What must and what may be found if everything ended at the position."""
        happened = [op for op in self.operations if op.started.position <= position]
        promise = Promise()
        for operation in happened:
            _enter(promise, operation, operation.is_acknowledged_at(position))
        for key, writes in _tag_writes(happened).items():
            promise.tags[key] = _permitted(writes, position)
        return promise

    def _now(self) -> Moment:
        self._moments += 1
        return Moment(self._moments, self.position())


def _enter(promise: Promise, operation: Operation, acknowledged: bool) -> None:
    for effect in operation.effects:
        match effect:
            case BlobStored(repository, digest, size) if acknowledged:
                promise.blobs[repository, digest] = size
            case BlobStored(repository, digest, _):
                promise.possible_blobs.add((repository, digest))
            case ManifestStored(repository, manifest) if acknowledged:
                promise.manifests[repository, manifest.digest] = manifest
            case ManifestStored(repository, manifest):
                promise.possible_manifests[repository, manifest.digest] = manifest


def _tag_writes(operations: Iterable[Operation]) -> dict[TagKey, list[tuple[Operation, str | None]]]:
    writes: dict[TagKey, list[tuple[Operation, str | None]]] = {}
    for operation in operations:
        for effect in operation.effects:
            if isinstance(effect, TagSet):
                writes.setdefault((effect.repository, effect.tag), []).append((operation, effect.digest))
    return writes


def _permitted(writes: list[tuple[Operation, str | None]], position: float) -> frozenset[str | None]:
    """The values that a tag may hold: of writes in flight, and of those no later acknowledged write replaced."""
    acknowledged = [op for op, _ in writes if op.is_acknowledged_at(position)]
    last_start = max((op.started.order for op in acknowledged), default=0)
    values = {
        value
        for op, value in writes
        if not op.is_acknowledged_at(position) or (op.acknowledged is not None and op.acknowledged.order > last_start)
    }
    return frozenset(values) if acknowledged else frozenset(values | {None})
