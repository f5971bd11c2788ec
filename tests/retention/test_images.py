"""Tags and manifests that go, and every race in which one might that should not."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from pkgd.errors import UnknownManifest
from pkgd.formats.digest import Digest
from pkgd.formats.names import Tag
from pkgd.registry.manifests import Manifests
from pkgd.retention.images import ImageRetention
from pkgd.retention.outcomes import Goner, Order, Outcome, Times
from pkgd.retention.rules import Rule, Rules
from pkgd.storage.layout import legacy_key, manifest_key, quarantine_key, tag_key
from tests.properties import brief
from tests.registry.fixtures import APP, Registry, RegistryCase, descriptor, image, image_index, tree
from tests.storage.fixtures import FaultyFileSystem

GRACE = 100.0
DAY = 86400.0
START = 2_000_000_000.0
KEEP_TWO = Rule("rules[0]", ("oci:**",), newest=2)
KEEP_DAYS = Rule("rules[0]", ("oci:**",), pushed_within=10 * DAY)
UNTAGGED = Rule("rules[0]", ("oci:**",), untagged=7 * DAY)


class ImageCase(RegistryCase):
    """A repository; all clocks are the test's."""

    def setUp(self) -> None:
        """Begin with nothing."""
        super().setUp()
        self.begin_with(self.registry)

    def begin_with(self, registry: Registry) -> None:
        """Go on with this registry, which has been up for longer than the grace."""
        self.registry = registry
        self.wall = START
        times = Times(registry.clock.seconds, lambda: self.wall)
        blocking = registry.place.store._blocking
        self.retention = ImageRetention(
            *(registry.place.store, blocking, registry.stored, registry.contents, registry.leases),
            *(registry.manifests, times),
        )
        self.noted: list[str] = []
        self.over: Callable[[], bool] = lambda: False
        self.config, self.layer = self.do(registry.push_blob(APP, b"{}")), self.do(registry.push_blob(APP, b"layer"))
        self.wait(GRACE + 1)

    def wait(self, seconds: float) -> None:
        """Time passes."""
        self.wall += seconds
        self.registry.clock.advance(seconds)

    def run_(self, *rules: Rule, apply: bool = True, alone: bool = False, grace: float = GRACE) -> Outcome:
        """A pass."""

        def note(resource: str, goner: Goner) -> None:
            self.noted.append(f"{resource} {goner.name}")

        order = Order(apply, grace, alone, note, lambda: self.over())
        return self.do(self.retention.run(APP, Rules(rules), order))

    def made(self, number: int = 0, **more: object) -> bytes:
        """An image of its own."""
        return image(self.config, self.layer, annotations={"number": str(number)}, **more)

    def push(self, tag: str, data: bytes, age: float) -> Digest:
        """Push an image, so long ago."""
        self.do(self.registry.push(APP, tag, data))
        digest = Digest.of(data)
        self.date(manifest_key(APP, digest), age)
        if ":" not in tag:
            self.date(tag_key(APP, Tag(tag)), age)
        return digest

    def push_untagged(self, data: bytes, age: float) -> Digest:
        """Push an image by its digest."""
        return self.push(str(Digest.of(data)), data, age)

    def date(self, key: str, age: float) -> None:
        """Make a file so old."""
        os.utime(self.path(key), (self.wall - age, self.wall - age))

    def tags(self) -> list[str]:
        """The tags that are there."""
        return self.do(self.registry.contents.tags(APP))

    def has(self, *digests: Digest) -> list[bool]:
        """Which of the manifests are there; asks nobody who would take that for a use."""
        return [os.path.exists(self.path(manifest_key(APP, one))) for one in digests]

    def push_tags(self, *ages: float) -> None:
        """Tags v0, v1 … of so many days, each an image of its own."""
        for number, age in enumerate(ages):
            self.push(f"v{number}", self.made(number), age * DAY)


class TagTests(ImageCase):
    """Which tags go."""

    def test_newest(self) -> None:
        """The newest stay, by their last push; manifests stay where they are."""
        self.push_tags(5, 1, 9, 3)
        digests = [Digest.of(self.made(number)) for number in range(4)]

        found = self.run_(KEEP_TWO)

        self.assertEqual(self.tags(), ["v1", "v3"])
        self.assertEqual(self.has(*digests), [True] * 4)
        self.assertEqual([(one.kind, one.name) for one in found.goes], [("tag", "v2"), ("tag", "v0")])
        self.assertEqual((found.stays, self.noted), (2, ["oci:team/app v2", "oci:team/app v0"]))
        self.assertEqual((found.goes[0].digest, found.goes[0].rule), (str(digests[2]), "rules[0]"))
        self.assertAlmostEqual(found.goes[0].pushed or 0, self.wall - 9 * DAY, delta=1)

    def test_dry(self) -> None:
        """A dry run says the same, changes nothing, and notes nothing."""
        self.push_tags(5, 1, 9, 3)
        self.push_untagged(self.made(9), 30 * DAY)
        before = tree(self.registry.place.tree.root)
        rules = (Rule("rules[0]", ("oci:**",), newest=2, untagged=7 * DAY),)
        self.wait(GRACE + 1)

        dry = self.run_(*rules, apply=False)

        self.assertEqual((tree(self.registry.place.tree.root), self.noted), (before, []))
        self.assertEqual(self.run_(*rules), dry)
        self.assertEqual(len(self.noted), 3)

    def test_pushed_within(self) -> None:
        """What was pushed lately stays, and what was pushed again."""
        self.push_tags(30, 5, 30)
        self.do(self.registry.push(APP, "v0", self.made(0)))
        self.date(tag_key(APP, Tag("v0")), 1 * DAY)

        self.run_(KEEP_DAYS)

        self.assertEqual(self.tags(), ["v0", "v1"])

    def test_patterns(self) -> None:
        """The first rule that names a tag decides; tags are counted for each rule by themselves."""
        for tag in ("v1", "v2", "pr-1", "pr-2", "pr-3", "latest"):
            self.push(tag, self.made(), (20 if tag.endswith("1") else 15) * DAY)
        stays = Rule("rules[0]", ("oci:**",), tags=("v*",))
        rules = (stays, Rule("rules[1]", ("oci:team/*",), tags=("pr-*",), newest=1), KEEP_TWO)

        found = self.run_(*rules)

        self.assertEqual(self.tags(), ["latest", "pr-3", "v1", "v2"])
        self.assertEqual({one.rule for one in found.goes}, {"rules[1]"})

    def test_other_repository(self) -> None:
        """A rule for another repository changes nothing."""
        self.push_tags(30)

        self.assertEqual(self.run_(Rule("a", ("oci:team/app/*", "oci:team"), pushed_within=1.0)).goes, [])

    def test_immutable(self) -> None:
        """An immutable tag stays, and does not count."""
        self.begin_with(Registry(self.mktemp(), immutable=["**:v0", "**:v1"]))
        self.push_tags(1, 2, 3, 4, 5)

        self.run_(KEEP_TWO)

        self.assertEqual(self.tags(), ["v0", "v1", "v2", "v3"])

    def test_attached(self) -> None:
        """Signatures' tags are no rule's: they neither count nor go."""
        signature = str(Digest.of(self.made())).replace(":", "-") + ".sig"
        self.push_tags(1, 2, 3)
        self.push(signature, self.made(7), 100 * DAY)

        self.run_(Rule("a", ("oci:**",), newest=1, pushed_within=2.5 * DAY))

        self.assertEqual(self.tags(), [signature, "v0", "v1"])

    def test_legacy(self) -> None:
        """A tag of the original server is as old as its file; its manifest stays where a digest finds it."""
        data = self.made()
        self.write(legacy_key(APP, Tag("old")), data)
        self.date(legacy_key(APP, Tag("old")), 30 * DAY)

        self.run_(KEEP_DAYS)

        self.assertEqual((self.tags(), self.has(Digest.of(data))), ([], [True]))

    def test_future(self) -> None:
        """What has come in the future is new."""
        self.push("v1", self.made(), -50 * DAY)

        self.assertEqual(self.run_(KEEP_DAYS).goes, [])

    def test_clock(self) -> None:
        """A clock that is set forward makes nothing older."""
        self.push_tags(1)

        self.wall += 1000 * DAY

        self.assertEqual(self.run_(KEEP_DAYS).goes, [])

    def test_damaged(self) -> None:
        """Where a tag cannot be read nothing goes, and the outcome says why."""
        self.push_tags(5, 6, 7)
        self.write(tag_key(APP, Tag("v0")), b"{")

        found = self.run_(KEEP_TWO)

        self.assertEqual((found.goes, len(self.tags())), ([], 3))
        self.assertIn("v0", found.problem)
        self.flushLoggedErrors()

    def test_over(self) -> None:
        """Whoever does not wait for the rest ends it between two tags."""
        self.push_tags(9, 8, 7, 6, 5)
        self.over = lambda: len(self.noted) == 1

        self.run_(KEEP_TWO)

        self.assertEqual(self.tags(), ["v1", "v2", "v3", "v4"])

    @given(st.lists(st.integers(0, 30), max_size=8), st.none() | st.integers(1, 4), st.none() | st.integers(1, 30))
    @brief
    def test_never(self, ages: list[int], newest: int | None, days: int | None) -> None:
        """Nothing goes that is among the newest, or young: whatever there is."""
        self.begin_with(Registry(self.mktemp()))
        self.push_tags(*ages)
        self.run_(Rule("a", ("oci:**",), newest=newest, pushed_within=None if days is None else days * DAY))

        left = {int(tag[1:]) for tag in self.tags()}

        for number, age in enumerate(ages):
            if days is not None and age < days:
                self.assertIn(number, left)
        if newest is not None:
            self.assertEqual(sorted(ages[number] for number in left)[:newest], sorted(ages)[:newest])
        if newest is None and days is None:
            self.assertEqual(len(left), len(ages))


class TagRaceTests(ImageCase):
    """Clients that change tags while a pass is at work."""

    def between(self, change: Callable[[], None]) -> None:
        """Have somebody change something after it was decided what goes."""
        manifests = self.registry.manifests

        class Delayed(Manifests):
            """Somebody comes first."""

            def __init__(self) -> None:
                self.__dict__.update(manifests.__dict__)

            async def delete(self, *arguments: object) -> None:  # type: ignore[override]
                """See `Manifests.delete`."""
                nonlocal change
                first, change = change, lambda: None
                first()
                await manifests.delete(*arguments)  # type: ignore[arg-type]

        self.retention.manifests = Delayed()

    def test_pushed_again(self) -> None:
        """A tag that is pushed again stays, whether it moves or not."""
        for data in (self.made(0), self.made(1)):
            self.push("v0", self.made(0), 30 * DAY)
            self.between(lambda data=data: self.do(self.registry.push(APP, "v0", data)))  # type: ignore[misc]

            self.assertEqual((self.run_(KEEP_DAYS).goes, self.tags()), ([], ["v0"]))

    def test_deleted(self) -> None:
        """A tag that somebody has deleted is nothing that has gone by a rule; the others go."""
        self.push_tags(30, 20)
        self.between(lambda: self.do(self.registry.manifests.delete(APP, Tag("v0"))))

        self.assertEqual([one.name for one in self.run_(KEEP_DAYS).goes], ["v1"])

    def test_used(self) -> None:
        """A manifest that is asked for, named or tagged meanwhile stays, and so does what it names; nothing fails."""
        child = self.made(1)
        parent = image_index(child)
        changes: list[Callable[[], object]] = [
            lambda: self.registry.manifests.touch(APP, Digest.of(parent)),
            lambda: self.do(self.registry.push(APP, "new", parent)),
            lambda: self.do(self.registry.push(APP, "outer", image_index(parent))),
            lambda: self.do(self.registry.push(APP, "about", self.made(3, subject=descriptor(parent)))),
        ]
        for change, grace in product(changes, (GRACE, 0)):
            self.begin_with(Registry(self.mktemp()))
            digests = [self.push_untagged(data, 30 * DAY) for data in (child, parent)]
            self.wait(GRACE + 1)
            self.between(change)

            found = self.run_(UNTAGGED, grace=grace)

            self.assertEqual((found.goes, found.problem, self.has(*digests)), ([], "", [True, True]))


class UntaggedTests(ImageCase):
    """Which manifests go that have no tag."""

    def test_old(self) -> None:
        """Those that are older than the rule says, with their referrers; blobs are for garbage collection."""
        old = self.push_untagged(self.made(0), 30 * DAY)
        signature = self.push_untagged(self.made(1, subject=descriptor(old)), 30 * DAY)
        young = self.push_untagged(self.made(2), 1 * DAY)
        tagged = self.push("v1", self.made(3), 300 * DAY)
        self.wait(GRACE + 1)

        found = self.run_(UNTAGGED)

        self.assertEqual(self.has(old, signature, young, tagged), [False, False, True, True])
        self.assertEqual([one.name for one in found.goes], [str(signature), str(old)])
        self.assertEqual(found.goes[0].reason, "has no tag, and is older than 7d")
        self.refusal(self.registry.pull(APP, str(old)), UnknownManifest)

    def test_needed(self) -> None:
        """What an index with a tag names stays, its referrers, and what an index names that is young."""
        child, grandchild = self.made(1), self.made(2)
        inner = image_index(grandchild)
        digests = [self.push_untagged(one, 30 * DAY) for one in (child, grandchild, inner)]
        digests.append(self.push_untagged(self.made(3, subject=descriptor(grandchild)), 30 * DAY))
        self.push("v1", image_index(inner), 30 * DAY)
        self.push_untagged(image_index(child), 1 * DAY)
        self.wait(GRACE + 1)

        self.assertEqual((self.run_(UNTAGGED).goes, self.has(*digests)), ([], [True] * 4))

    def test_attached(self) -> None:
        """A signature's tag goes with what it signs, and stays with it."""
        data, signature = self.made(0), self.made(1)
        tag = str(Digest.of(data)).replace(":", "-") + ".sig"
        self.push("v1", data, 30 * DAY)
        self.push(tag, signature, 30 * DAY)
        self.wait(GRACE + 1)
        self.assertEqual((self.run_(UNTAGGED).goes, len(self.tags())), ([], 2))

        self.do(self.registry.manifests.delete(APP, Tag("v1")))
        self.wait(GRACE + 1)
        self.run_(UNTAGGED)

        self.assertEqual((self.tags(), self.has(Digest.of(data), Digest.of(signature))), ([], [False, False]))

    def test_grace(self) -> None:
        """Who has just lost its tag waits for the grace; then it goes, with the tag's own rule or without."""
        rule = Rule("a", ("oci:**",), pushed_within=10 * DAY, untagged=7 * DAY)
        digest = self.push("v1", self.made(), 30 * DAY)

        found = [self.run_(rule).goes for _ in range(2)]
        self.wait(GRACE + 1)
        found.append(self.run_(rule).goes)

        self.assertEqual([[one.kind for one in goes] for goes in found], [["tag"], [], ["manifest"]])
        self.assertEqual(self.has(digest), [False])

    def test_told(self) -> None:
        """So it is with one that a client was told of, that is pushed again, or beside which an upload is open."""
        data = self.made()
        digest = self.push_untagged(data, 30 * DAY)
        self.wait(GRACE + 1)
        self.registry.manifests.touch(APP, digest)
        self.assertEqual(self.run_(UNTAGGED).goes, [])
        self.wait(GRACE + 1)
        self.push_untagged(data, 30 * DAY)
        self.assertEqual(self.run_(UNTAGGED).goes, [])
        session = self.do(self.registry.uploads.start(APP))
        self.wait(GRACE + 1)
        self.assertEqual(self.run_(UNTAGGED).goes, [])

        self.do(self.registry.uploads.cancel(session))
        self.run_(UNTAGGED)

        self.assertEqual(self.has(digest), [False])

    def test_told_of_one(self) -> None:
        """Who was told of a manifest may count on its signatures and on what it names, too; others go."""
        child, other = self.made(1), self.push_untagged(self.made(9), 30 * DAY)
        parent = self.push_untagged(image_index(child), 30 * DAY)
        digests = [parent, self.push_untagged(child, 30 * DAY)]
        digests.append(self.push_untagged(self.made(2, subject=descriptor(parent)), 30 * DAY))
        self.wait(GRACE + 1)
        self.registry.manifests.touch(APP, parent)

        self.run_(UNTAGGED)

        self.assertEqual((self.has(*digests), self.has(other)), ([True] * 3, [False]))

    def test_restart(self) -> None:
        """After a start nothing goes for a grace: nobody knows what clients were told before."""
        digest = self.push_untagged(self.made(), 30 * DAY)
        self.begin_with(self.registry.restarted())
        self.retention._times.began = self.registry.clock.seconds() - 1

        self.assertEqual((self.run_(UNTAGGED).goes, self.has(digest)), ([], [True]))
        self.wait(GRACE)
        self.assertEqual(len(self.run_(UNTAGGED).goes), 1)

    def test_alone(self) -> None:
        """Where no daemon runs the files' times say enough; they have to be older than the grace at least."""
        old, young = self.push_untagged(self.made(0), 30), self.push_untagged(self.made(1), 10)

        self.run_(Rule("a", ("oci:**",), untagged=0.0), alone=True, grace=20)

        self.assertEqual(self.has(old, young), [False, True])

    def test_unreadable(self) -> None:
        """Where a manifest is damaged, or has been set aside, nothing goes: nobody knows what it names."""
        child = self.made(1)
        digest = self.push_untagged(child, 30 * DAY)
        parent = self.push("v1", image_index(child), 30 * DAY)
        self.wait(GRACE + 1)
        self.write(manifest_key(APP, parent), b"rotten")
        rotten = self.run_(UNTAGGED)
        os.renames(self.path(manifest_key(APP, parent)), self.path(quarantine_key(manifest_key(APP, parent))))
        gone = self.run_(UNTAGGED)

        self.assertEqual((rotten.goes, gone.goes, self.has(digest)), ([], [], [True]))
        self.assertIn("is damaged", rotten.problem)
        self.assertIn("quarantine", gone.problem)

    def test_failures(self) -> None:
        """A disk that refuses at any moment leaves every index that is there with all that it names."""
        child, other = self.made(1), self.made(2)
        parent = image_index(child, other)
        data = [child, other, parent, self.made(3, subject=descriptor(parent))]
        rule = Rule("a", ("oci:**",), pushed_within=DAY, untagged=7 * DAY)
        for call in range(1000):
            fs = FaultyFileSystem()
            self.begin_with(Registry(self.mktemp(), fs))
            digests = [self.push_untagged(one, 30 * DAY) for one in data]
            self.push("v1", self.made(4), 30 * DAY)
            self.wait(GRACE + 1)
            fs.fail(call, errno.EIO)

            found = self.run_(rule)

            first, second, index, referrer = self.has(*digests)
            self.assertTrue((first and second) or not index)
            self.assertTrue(index or not referrer)
            fs.heal()
            if not fs.failed:
                break
            self.wait(GRACE + 1)
            self.assertEqual(self.run_(rule).problem, "")
            self.assertEqual((self.has(*digests), self.tags()), ([False] * 4, []), (call, found))
        self.assertEqual((self.has(*digests), self.tags()), ([False] * 4, []))
        self.assertGreater(call, 20)
