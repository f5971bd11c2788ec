"""What a client must see: the contract as a pure function of fault, kind of request and state.

| the fault amounts to | cold | the tag is cached |
|---|---|---|
| none | the content | the content |
| unavailable, corrupt | 502 UNAVAILABLE | stale content |
| time-out | 504 UNAVAILABLE | stale content |
| refused | 403 DENIED | 403 DENIED, never stale |
| busy | 429 and Retry-After | stale content |
| absent | 404 (referrers: an empty list) | 404: it is gone |

What the mirror has by digest is answered whatever the upstream does, and the upstream is not asked.
A blob's answer may have begun when the fault comes: then the connection breaks, visibly. Its bytes are verified only
at the end, so that wrong ones may have gone out by then; the last one has not.
"""

from __future__ import annotations

import json
from dataclasses import dataclass

from tests.upstream.client import Answer
from tests.upstream.fault import BLOBS, HEADS, TAGS, Effect, Fault, Kind, State

_ERRORS = {
    Effect.UNAVAILABLE: (502, "UNAVAILABLE"),
    Effect.CORRUPT: (502, "UNAVAILABLE"),
    Effect.TIMEOUT: (504, "UNAVAILABLE"),
    Effect.REFUSED: (403, "DENIED"),
    Effect.BUSY: (429, "TOOMANYREQUESTS"),
}
_COVERED_BY_STALE = frozenset({Effect.UNAVAILABLE, Effect.TIMEOUT, Effect.CORRUPT, Effect.BUSY})


@dataclass(frozen=True)
class Outcome:
    """One good end of a request."""

    status: int
    code: str = ""
    stale: bool = False
    """The content is what the mirror had before, with a warning."""
    broken: bool = False
    """The connection ends before the body does."""
    empty: bool = False
    """An empty list of referrers."""
    untold: bool = False
    """A HEAD tells whatever the upstream has told: there is no content to judge it by."""

    def __str__(self) -> str:
        marks = [name for name in ("stale", "broken", "empty", "untold") if getattr(self, name)]
        return " ".join(filter(None, [str(self.status), self.code, *marks]))


RIGHT = Outcome(200)
STALE = Outcome(200, stale=True)
BROKEN = Outcome(200, broken=True)
NO_REFERRERS = Outcome(200, empty=True)
UNTOLD = Outcome(200, untold=True)


def applies(fault: Fault, kind: Kind, state: State) -> bool:
    """Whether the combination says anything."""
    if kind not in fault.kinds or (kind in HEADS and fault.bodies_only):
        return False
    if state is State.CACHED:
        return kind in (Kind.DIGEST, Kind.BLOB, Kind.SMALL, Kind.HEAD_DIGEST, Kind.HEAD_BLOB)
    if state is State.STALE:
        return kind in TAGS
    if state is State.MOVED:
        return kind is Kind.TAG
    return True


def expected(fault: Fault, kind: Kind, state: State) -> frozenset[Outcome]:
    """The good ends of such a request, of which there is more than one where the contract leaves a choice."""
    if state is State.CACHED:
        return frozenset({RIGHT})
    effects = fault.effects_on(kind)
    if state is State.STALE:
        # A tag that stands is confirmed by HEAD, which a spoilt body does not touch.
        if fault.bodies_only and kind is not Kind.TOKEN:
            return frozenset({RIGHT})
        effects |= fault.effects_on(Kind.HEAD_TAG) if kind is Kind.TAG else frozenset()
    outcomes = frozenset(_outcome(effect, kind, state) for effect in effects)
    if state is State.STALE and Effect.CORRUPT in effects and kind is not Kind.TOKEN:
        # What is wrong with its answer, the HEAD may still state the digest that confirms the tag.
        outcomes |= {RIGHT}
    if kind in HEADS and RIGHT in outcomes and Effect.CORRUPT in effects:
        outcomes |= {UNTOLD}
    if kind in BLOBS and outcomes != {RIGHT} and (fault.bodies_only or Effect.CORRUPT in effects):
        outcomes |= {BROKEN}
    return outcomes


def _outcome(effect: Effect, kind: Kind, state: State) -> Outcome:
    if effect is Effect.NONE:
        return RIGHT
    if effect is Effect.ABSENT:
        return _absent(kind)
    if state in (State.STALE, State.MOVED) and effect in _COVERED_BY_STALE:
        return STALE
    return Outcome(*_ERRORS[effect])


def _absent(kind: Kind) -> Outcome:
    if kind is Kind.REFERRERS:
        return NO_REFERRERS
    if kind in BLOBS | {Kind.HEAD_BLOB}:
        return Outcome(404, "BLOB_UNKNOWN")
    return Outcome(404, "MANIFEST_UNKNOWN")


@dataclass(frozen=True)
class Content:
    """What the answers must carry."""

    right: bytes
    """The body of a good answer; of HEAD, what its Content-Length counts."""
    before: bytes
    """The body that the mirror had before the tag moved."""


def faults_of(answer: Answer, outcomes: frozenset[Outcome], kind: Kind, content: Content) -> list[str]:
    """What is wrong with an answer, in words; nothing if it is one of the outcomes."""
    complaints = [_complaints(answer, outcome, kind, content) for outcome in sorted(outcomes, key=str)]
    if not all(complaints):
        return []
    wanted = " or ".join(map(str, sorted(outcomes, key=str)))
    return [f"expected {wanted}; got {answer}", *min(complaints, key=len)]


def _complaints(answer: Answer, outcome: Outcome, kind: Kind, content: Content) -> list[str]:
    if outcome.broken:
        return [] if answer.status in (0, 200) and answer.is_broken else ["it does not break"]
    if answer.status != outcome.status or not answer.whole:
        return ["it is another status, or cut short"]
    if outcome.status == 200:
        return _content_complaints(answer, outcome, kind, content)
    complaints = []
    if kind not in HEADS and answer.code != outcome.code:
        complaints.append(f"the code is {answer.code or 'absent'}")
    if outcome.status == 429 and not answer.value("retry-after").isdigit():
        complaints.append("no Retry-After")
    return complaints


def _content_complaints(answer: Answer, outcome: Outcome, kind: Kind, content: Content) -> list[str]:
    complaints = []
    body = content.before if outcome.stale else content.right
    if outcome.stale != answer.is_stale:
        complaints.append(f"Warning is {answer.value('warning')!r}")
    if outcome.untold:
        return complaints
    if kind in HEADS:
        if answer.value("content-length") != str(len(body)):
            complaints.append("Content-Length is not that of the content")
    elif kind is Kind.REFERRERS:
        wanted = [] if outcome.empty else listed(body)
        if listed(answer.body) != wanted:
            complaints.append(f"it lists {listed(answer.body)}, not {wanted}")
    elif answer.body != body:
        complaints.append("wrong bytes")
    return complaints


def listed(data: bytes) -> list[str] | None:
    """The digests in an index, or None if it is none."""
    try:
        return [str(entry["digest"]) for entry in json.loads(data)["manifests"]]
    except (ValueError, KeyError, TypeError):
        return None
