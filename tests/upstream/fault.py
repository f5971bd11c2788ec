"""What a fault is: how an upstream misbehaves, and what that does to those who ask it."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from tests.upstream.exchange import Misbehaviour
from tests.upstream.scripted import Door


class Kind(enum.Enum):
    """What a client asks of the mirror while the fault lasts."""

    TAG = "manifest by tag"
    DIGEST = "manifest by digest"
    BLOB = "blob"
    SMALL = "small blob by sha512"
    HEAD_TAG = "HEAD manifest by tag"
    HEAD_DIGEST = "HEAD manifest by digest"
    HEAD_BLOB = "HEAD blob"
    REFERRERS = "referrers"
    TOKEN = "token"
    """A manifest by tag, of an upstream that wants a token: it is the token endpoint that misbehaves."""


BLOBS = frozenset({Kind.BLOB, Kind.SMALL})
HEADS = frozenset({Kind.HEAD_TAG, Kind.HEAD_DIGEST, Kind.HEAD_BLOB})
TAGS = frozenset({Kind.TAG, Kind.HEAD_TAG, Kind.TOKEN})
CONTENT = frozenset(Kind) - {Kind.TOKEN}
EVERYTHING = frozenset(Kind)


class State(enum.Enum):
    """What the mirror has when the fault begins."""

    COLD = "cold"
    CACHED = "cached"
    STALE = "stale"
    """It has the tag, and must ask whether it still stands."""
    MOVED = "moved"
    """The same, and the tag has moved at the upstream."""


class Effect(enum.Enum):
    """What the fault amounts to for the mirror."""

    NONE = "it can get the content all the same"
    UNAVAILABLE = "it cannot"
    TIMEOUT = "it must give up waiting"
    CORRUPT = "what it gets is not what it should be"
    REFUSED = "it is not allowed"
    BUSY = "it is asked to wait"
    ABSENT = "it is told that there is no such thing"


class Lookup(enum.Enum):
    """What becomes of the upstream's name."""

    FOUND = "found"
    ABSENT = "no such name"
    FAILED = "the name server fails"
    SILENT = "the name server is silent"


@dataclass(frozen=True)
class Gate:
    """What happens on the way to the upstream, before any request."""

    door: Door = Door.OPEN
    certificate: str | None = None
    """Speak TLS, and show this certificate during the fault."""
    plain: bool = False
    """Speak no TLS although the URL says so."""
    lookup: Lookup = Lookup.FOUND

    @property
    def secure(self) -> bool:
        """Whether the upstream's URL is one of https."""
        return self.certificate is not None

    @property
    def is_entrance(self) -> bool:
        """Whether the upstream's port is not as it should be."""
        return self.door is not Door.OPEN or self.plain or self.certificate not in (None, "good")


@dataclass(frozen=True)
class Fault:
    """One way to misbehave."""

    name: str
    effects: frozenset[Effect]
    """What it amounts to; several where the contract leaves the choice."""
    how: Misbehaviour | None = None
    gate: Gate = Gate()
    bodies_only: bool = False
    """It spoils only what has a body, and after the head of the answer."""
    kinds: frozenset[Kind] = CONTENT
    but: Mapping[Kind, frozenset[Effect]] = field(default_factory=dict)
    """For which kinds it amounts to something else."""
    lingers: bool = False
    """It has asked to be left alone for longer than anyone here waits."""

    def effects_on(self, kind: Kind) -> frozenset[Effect]:
        """What it amounts to for such a request."""
        return self.but.get(kind, self.effects)


def one_of(*effects: Effect) -> frozenset[Effect]:
    """Any of these."""
    return frozenset(effects)


NONE = one_of(Effect.NONE)
UNAVAILABLE = one_of(Effect.UNAVAILABLE)
TIMEOUT = one_of(Effect.TIMEOUT)
CORRUPT = one_of(Effect.CORRUPT)
REFUSED = one_of(Effect.REFUSED)
BUSY = one_of(Effect.BUSY)
ABSENT = one_of(Effect.ABSENT)
OPEN = NONE | CORRUPT
"""It may be taken for good, where the content is right, or for bad."""
