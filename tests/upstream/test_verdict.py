"""Tests for the contract that the matrix holds the mirror to, and for the judging of answers."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.upstream.client import Answer
from tests.upstream.fault import (
    ABSENT,
    BUSY,
    CORRUPT,
    EVERYTHING,
    NONE,
    OPEN,
    REFUSED,
    TIMEOUT,
    UNAVAILABLE,
    Effect,
    Fault,
    Kind,
    State,
)
from tests.upstream.matrix import cells
from tests.upstream.verdict import (
    BROKEN,
    NO_REFERRERS,
    RIGHT,
    STALE,
    UNTOLD,
    Content,
    Outcome,
    applies,
    expected,
    faults_of,
)


def fault(effects: frozenset[Effect], **more: object) -> Fault:
    """A fault that amounts to that."""
    return Fault("scripted", effects, kinds=EVERYTHING, **more)  # type: ignore[arg-type]


class ExpectedTests(SynchronousTestCase):
    """The contract, row by row."""

    def expect(self, effects: frozenset[Effect], kind: Kind, state: State, *outcomes: Outcome, **more: object) -> None:
        """Compare one row."""
        self.assertEqual(expected(fault(effects, **more), kind, state), frozenset(outcomes))

    def test_cold(self) -> None:
        """What cannot be had is refused, each reason with its status and code."""
        self.expect(UNAVAILABLE, Kind.TAG, State.COLD, Outcome(502, "UNAVAILABLE"))
        self.expect(CORRUPT, Kind.DIGEST, State.COLD, Outcome(502, "UNAVAILABLE"))
        self.expect(TIMEOUT, Kind.HEAD_TAG, State.COLD, Outcome(504, "UNAVAILABLE"))
        self.expect(REFUSED, Kind.BLOB, State.COLD, Outcome(403, "DENIED"))
        self.expect(BUSY, Kind.TOKEN, State.COLD, Outcome(429, "TOOMANYREQUESTS"))
        self.expect(NONE, Kind.TAG, State.COLD, RIGHT)

    def test_absent(self) -> None:
        """What isn't there is called by what it is; nobody is without a list of referrers."""
        self.expect(ABSENT, Kind.TAG, State.COLD, Outcome(404, "MANIFEST_UNKNOWN"))
        self.expect(ABSENT, Kind.HEAD_BLOB, State.COLD, Outcome(404, "BLOB_UNKNOWN"))
        self.expect(ABSENT, Kind.REFERRERS, State.COLD, NO_REFERRERS)

    def test_cached(self) -> None:
        """What is here by digest is answered whatever happens."""
        for effects in (UNAVAILABLE, REFUSED, ABSENT, CORRUPT):
            self.expect(effects, Kind.DIGEST, State.CACHED, RIGHT)

    def test_stale(self) -> None:
        """A tag is answered from before if the upstream cannot answer or sends nonsense, never if it says no."""
        for effects in (UNAVAILABLE, TIMEOUT, BUSY):
            self.expect(effects, Kind.TAG, State.STALE, STALE)
            self.expect(effects, Kind.TAG, State.MOVED, STALE)
        self.expect(CORRUPT, Kind.TAG, State.MOVED, STALE)
        self.expect(CORRUPT, Kind.TAG, State.STALE, STALE, RIGHT)
        self.expect(REFUSED, Kind.TAG, State.STALE, Outcome(403, "DENIED"))
        self.expect(ABSENT, Kind.TAG, State.STALE, Outcome(404, "MANIFEST_UNKNOWN"))

    def test_confirmed_by_head(self) -> None:
        """A spoilt body does not matter to a tag that still stands; it does once the tag has moved."""
        self.expect(TIMEOUT, Kind.TAG, State.STALE, RIGHT, bodies_only=True)
        self.expect(TIMEOUT, Kind.TAG, State.MOVED, STALE, bodies_only=True)
        self.expect(TIMEOUT, Kind.TOKEN, State.STALE, STALE, bodies_only=True)

    def test_blob_begun(self) -> None:
        """A blob's answer may have begun when its body is spoilt: then it breaks."""
        self.expect(TIMEOUT, Kind.BLOB, State.COLD, Outcome(504, "UNAVAILABLE"), BROKEN, bodies_only=True)
        self.expect(CORRUPT, Kind.SMALL, State.COLD, Outcome(502, "UNAVAILABLE"), BROKEN)
        self.expect(TIMEOUT, Kind.BLOB, State.COLD, Outcome(504, "UNAVAILABLE"))
        self.expect(NONE, Kind.BLOB, State.COLD, RIGHT, bodies_only=True)

    def test_untold(self) -> None:
        """Whether a HEAD is right cannot always be told."""
        self.expect(OPEN, Kind.HEAD_BLOB, State.COLD, RIGHT, UNTOLD, Outcome(502, "UNAVAILABLE"))

    def test_kinds_apart(self) -> None:
        """A fault may amount to something else for one kind."""
        one = fault(CORRUPT, but={Kind.BLOB: NONE})

        self.assertEqual(expected(one, Kind.BLOB, State.COLD), {RIGHT})
        self.assertEqual(expected(one, Kind.TAG, State.COLD), {Outcome(502, "UNAVAILABLE")})


class AppliesTests(SynchronousTestCase):
    """Which cells there are."""

    def test_size(self) -> None:
        """There are more than four hundred, all different, and every kind and state among them."""
        found = [(one.fault.name, one.kind, one.state) for one in cells()]

        self.assertGreaterEqual(len(set(found)), 400)
        self.assertEqual(len(set(found)), len(found))
        self.assertEqual({kind for _, kind, _ in found}, set(Kind))
        self.assertEqual({state for _, _, state in found}, set(State))

    def test_heads_have_no_bodies(self) -> None:
        """A fault of bodies says nothing about HEAD."""
        one = fault(CORRUPT, bodies_only=True)

        self.assertFalse(applies(one, Kind.HEAD_BLOB, State.COLD))
        self.assertTrue(applies(one, Kind.BLOB, State.COLD))

    def test_only_tags_grow_stale(self) -> None:
        """A digest is never asked about again."""
        self.assertFalse(applies(fault(CORRUPT), Kind.DIGEST, State.STALE))
        self.assertFalse(applies(fault(CORRUPT), Kind.TAG, State.CACHED))


class JudgeTests(SynchronousTestCase):
    """Each rule about answers can be broken."""

    content = Content(right=b"right bytes", before=b"older bytes")
    stale = (("warning", '299 - "this may be stale"'),)

    def judge(self, answer: Answer, *outcomes: Outcome, kind: Kind = Kind.TAG) -> list[str]:
        """What is wrong with an answer."""
        return faults_of(answer, frozenset(outcomes), kind, self.content)

    def test_right(self) -> None:
        """The right bytes are good, others are not, nor are too few."""
        self.assertEqual(self.judge(Answer(200, body=b"right bytes"), RIGHT), [])
        self.assertTrue(self.judge(Answer(200, body=b"wrong bytes"), RIGHT))
        self.assertTrue(self.judge(Answer(200, body=b"right", whole=False), RIGHT))
        self.assertTrue(self.judge(Answer(200, body=b"right"), RIGHT))

    def test_warning(self) -> None:
        """What is stale says so, and nothing else does."""
        self.assertEqual(self.judge(Answer(200, self.stale, b"older bytes"), STALE), [])
        self.assertTrue(self.judge(Answer(200, (), b"older bytes"), STALE))
        self.assertTrue(self.judge(Answer(200, self.stale, b"right bytes"), RIGHT))

    def test_short_but_whole(self) -> None:
        """A body that looks whole is the worst answer; one that breaks is good where it may."""
        self.assertTrue(self.judge(Answer(200, body=b"right"), BROKEN, kind=Kind.BLOB))
        self.assertTrue(self.judge(Answer(404, body=b"right", whole=False), BROKEN, kind=Kind.BLOB))
        self.assertTrue(self.judge(Answer(200, body=b"right", whole=False, gave_up=True), BROKEN, kind=Kind.BLOB))
        self.assertEqual(self.judge(Answer(200, body=b"right", whole=False), BROKEN, kind=Kind.BLOB), [])

    def test_code(self) -> None:
        """A refusal has its status and its code."""
        document = json.dumps({"errors": [{"code": "DENIED", "message": "no"}]}).encode()

        self.assertEqual(self.judge(Answer(403, body=document), Outcome(403, "DENIED")), [])
        self.assertTrue(self.judge(Answer(403, body=b"no"), Outcome(403, "DENIED")))
        self.assertTrue(self.judge(Answer(502, body=document), Outcome(403, "DENIED")))

    def test_head(self) -> None:
        """A HEAD tells the length of the content."""
        good, bad = Answer(200, (("content-length", "11"),)), Answer(200, (("content-length", "12"),))

        self.assertEqual(self.judge(good, RIGHT, kind=Kind.HEAD_TAG), [])
        self.assertTrue(self.judge(bad, RIGHT, kind=Kind.HEAD_TAG))
        self.assertEqual(self.judge(bad, UNTOLD, kind=Kind.HEAD_TAG), [])

    def test_retry_after(self) -> None:
        """Who is asked to wait is told for how long."""
        document = json.dumps({"errors": [{"code": "TOOMANYREQUESTS", "message": "later"}]}).encode()
        outcome = Outcome(429, "TOOMANYREQUESTS")

        self.assertEqual(self.judge(Answer(429, (("retry-after", "1"),), document), outcome), [])
        self.assertTrue(self.judge(Answer(429, (), document), outcome))

    def test_referrers(self) -> None:
        """Lists of referrers are compared by what they name."""
        listing = json.dumps({"manifests": [{"digest": "sha256:1"}]}).encode()
        content = Content(listing, listing)

        judged = faults_of(Answer(200, body=b'{"manifests":[]}'), frozenset({RIGHT}), Kind.REFERRERS, content)
        self.assertTrue(judged)
        self.assertEqual(self.judge(Answer(200, body=b'{"manifests":[]}'), NO_REFERRERS, kind=Kind.REFERRERS), [])
        self.assertTrue(self.judge(Answer(200, body=listing), NO_REFERRERS, kind=Kind.REFERRERS))
