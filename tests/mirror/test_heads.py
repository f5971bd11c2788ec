"""What is remembered of HEAD requests: for how long, of how many, and which tags it gives a digest."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Tag
from pkgd.mirror.answers import ManifestHead
from pkgd.mirror.heads import HEAD_SECONDS, MAX_HEADS, Heads
from tests.mirror.fill_fixtures import APP

DIGEST = Digest.of(b"manifest")
LATEST = Tag("latest")
TTL = 300.0


class HeadsTests(SynchronousTestCase):
    """Heads that were told at noon."""

    def setUp(self) -> None:
        """Nothing has been told yet."""
        self.clock = Clock()
        self.clock.advance(43200)
        self.heads = Heads(self.clock, TTL)

    def note(self, tag: str = "latest", digest: Digest = DIGEST) -> None:
        """A tag stands for a digest now."""
        self.heads.note(APP, Tag(tag), ManifestHead(digest, "", 1, self.clock.seconds()))

    def told(self, tag: str = "latest", head_only: bool = True, started: float = 0.0) -> bool:
        """Whether a request learns it; one that began now, if nothing else is said."""
        return self.heads.told(APP, Tag(tag), head_only, started or self.clock.seconds()) is not None

    def test_within_its_time(self) -> None:
        """HEAD is answered by it as long as a tag is believed; a manifest is asked for."""
        self.note()
        self.clock.advance(TTL - 1)
        self.assertEqual((self.told(), self.told(head_only=False)), (True, False))
        self.clock.advance(1)
        self.assertFalse(self.told())

    def test_meanwhile(self) -> None:
        """Who began before it was told need not ask, whatever for, nor however short a tag is believed."""
        self.heads = Heads(self.clock, 0.0)
        began = self.clock.seconds()
        self.clock.advance(1)
        self.note()
        self.assertTrue(self.told(head_only=False, started=began))
        self.assertFalse(self.told(started=self.clock.seconds()))

    def test_clock_set_back(self) -> None:
        """It is not believed for ever."""
        self.note()
        self.clock.rightNow -= TTL
        self.assertFalse(self.told(started=1.0))
        self.assertEqual(self.heads.tags_of(APP, DIGEST).keys(), {LATEST})
        self.clock.rightNow -= 1
        self.assertEqual(self.heads.tags_of(APP, DIGEST), {})

    def test_forgotten(self) -> None:
        """What is gone is not told any more; to forget it again does no harm."""
        self.note()
        self.heads.forget(APP, LATEST)
        self.heads.forget(APP, LATEST)
        self.assertFalse(self.told())

    def test_tags(self) -> None:
        """A digest has the tags that were told of it, for this upstream and not for long; it is none itself."""
        self.note("old")
        self.clock.advance(TTL)
        now = self.clock.seconds()
        self.note("new")
        self.note("other", Digest.of(b"another"))
        self.heads.note(APP, DIGEST, ManifestHead(DIGEST, "", 1, now))
        self.heads.note(Origin("ghcr.io", APP.name), LATEST, ManifestHead(DIGEST, "", 1, now))

        self.assertEqual(self.heads.tags_of(APP, DIGEST), {Tag("old"): now - TTL, Tag("new"): now})
        self.clock.advance(1)
        self.assertEqual(self.heads.tags_of(APP, DIGEST), {Tag("new"): now})

    def test_tags_where_each_pull_asks(self) -> None:
        """There they are remembered, too, for when the upstream is down."""
        self.heads = Heads(self.clock, 0.0)
        self.note()
        self.clock.advance(HEAD_SECONDS)
        self.assertIn(LATEST, self.heads.tags_of(APP, DIGEST))
        self.clock.advance(1)
        self.assertEqual(self.heads.tags_of(APP, DIGEST), {})

    def test_bounded(self) -> None:
        """Anybody may ask for any tag: what was told longest ago is forgotten."""
        for number in range(MAX_HEADS):
            self.note(f"t{number}")
        self.note("t0")
        self.note("one-more")

        self.assertEqual([self.told(tag) for tag in ("t0", "t1", "t2", "one-more")], [True, False, True, True])
