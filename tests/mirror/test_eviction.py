"""Eviction: what goes, in which order, what never goes, and how much room there is then."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent

from pkgd.errors import FailedStorage
from pkgd.formats.digest import Digest
from pkgd.mirror.eviction import MAX_FAILURES, Evictor
from pkgd.state.ledger import MAX_CHANGES
from pkgd.storage.layout import blob_key
from tests.cached import PLACES, Thing, World, blob_thing, image_thing, index_thing, uses, worlds
from tests.mirror.caches import Cache, CacheCase, Killed
from tests.properties import brief

A, B, C = PLACES
DAY = 86400.0
# Where an example is a pass for each delete of a pass.
few = settings(brief, max_examples=brief.max_examples // 5)


@contextmanager
def cached() -> Iterator[Cache]:
    """A cache for one example of a property."""
    with tempfile.TemporaryDirectory() as directory:
        cache = Cache(directory)
        try:
            yield cache
        finally:
            cache.close()


@contextmanager
def logged() -> Iterator[list[str]]:
    """The lines that are logged meanwhile; there when it is over."""
    lines: list[str] = []
    with capturedLogs() as events:
        yield lines
    lines += [formatEvent(event) for event in events]


def failing_at(turn: int, error: Exception) -> Callable[[str], None]:
    """Fails once, at that turn."""
    turns = iter(range(turn + 1))

    def fail(key: str) -> None:
        if next(turns, None) == turn:
            raise error

    return fail


def blob(name: str, size: int = 100) -> Thing:
    """A blob of a size."""
    return blob_thing(name.encode().ljust(size, b"."))


class _Case(CacheCase):
    """A cache with blobs that nothing needs, for what does not depend on groups."""

    def fill(self, *used: float, size: int = 100, place: str = A) -> list[Thing]:
        """Keep a blob for each time of use."""
        things = [blob(f"{place} {time}", size) for time in used]
        for thing, time in zip(things, used, strict=True):
            self.cache.keep(place, thing, time)
        return things

    def left(self, things: list[Thing], place: str = A) -> list[int]:
        """Which of the things are still there, by number."""
        found = self.cache.found()
        return [number for number, thing in enumerate(things) if (place, thing.digest) in found]

    def reserve(self, evictor: Evictor, size: int) -> bool:
        """The answer to a reservation."""
        return self.do(evictor.reserve(size))


class RoomTests(_Case):
    """Room for what comes in."""

    def test_enough(self) -> None:
        """Where there is room to the byte nothing is evicted."""
        things = self.fill(1, 2)

        self.assertIs(self.reserve(self.cache.evictor(max_size=300), 100), True)

        self.assertEqual(self.left(things), [0, 1])

    def test_least_recently_used_first(self) -> None:
        """What was used longest ago goes, and no more than has to."""
        things = self.fill(2, 1, 3)

        self.assertIs(self.reserve(self.cache.evictor(max_size=300), 1), True)

        self.assertEqual(self.left(things), [0, 2])

    def test_across_places(self) -> None:
        """All places of all hosts are one cache."""
        here, there = self.fill(1, 4), self.fill(2, 3, place=C)

        self.assertIs(self.reserve(self.cache.evictor(max_size=400), 150), True)

        self.assertEqual(self.left(here), [1])
        self.assertEqual(self.left(there, C), [1])

    def test_use_just_now(self) -> None:
        """A use that is only in memory yet counts."""
        things = self.fill(1, 2)
        self.cache.ledger.touch(A, things[0].digest, 3)

        self.assertIs(self.reserve(self.cache.evictor(max_size=200), 100), True)

        self.assertEqual(self.left(things), [0])

    def test_everything_used_just_now(self) -> None:
        """When all uses are in memory only, the first of them goes."""
        things = self.fill(1, 2, 3)
        for number, thing in enumerate(reversed(things)):
            self.cache.ledger.touch(A, thing.digest, 10 + number)

        self.assertIs(self.reserve(self.cache.evictor(max_size=300), 100), True)

        self.assertEqual(self.left(things), [0, 1])

    def test_use_in_the_last_moment(self) -> None:
        """What has just been used goes if there is nothing older."""
        things = self.fill(100)

        self.assertIs(self.reserve(self.cache.evictor(max_size=100), 100), True)

        self.assertEqual(self.left(things), [])

    def test_reservations_count(self) -> None:
        """What has been promised and not come yet takes room, until it is released."""
        things, evictor = self.fill(1, 2), self.cache.evictor(max_size=300)
        self.assertIs(self.reserve(evictor, 100), True)
        self.assertEqual(self.left(things), [0, 1])

        self.assertIs(self.reserve(evictor, 100), True)
        self.assertEqual(self.left(things), [1])

        evictor.release(100)
        self.assertIs(self.reserve(evictor, 100), True)
        self.assertEqual(self.left(things), [1])

    def test_larger_than_the_cache(self) -> None:
        """For what can never fit nothing is evicted in vain, nor for what cannot fit beside what is promised."""
        things, evictor = self.fill(1, 2), self.cache.evictor(max_size=300)

        self.assertIs(self.reserve(evictor, 301), False)
        self.assertIs(self.reserve(evictor, 100), True)
        self.assertIs(self.reserve(evictor, 201), False)

        self.assertEqual(self.left(things), [0, 1])

    def test_its_own_group(self) -> None:
        """An image is not given up to make room for a layer of its own."""
        here, awaited = blob("here"), blob("awaited")
        image = image_thing(here, awaited)
        for thing in (here, image):
            self.cache.keep(A, thing, 1)
        self.cache.flying = {(A, awaited.digest)}

        self.assertIs(self.reserve(self.cache.evictor(max_size=here.size + image.size), 100), False)

        self.assertEqual(self.cache.found(), {(A, here.digest), (A, image.digest)})

    def test_no_limit(self) -> None:
        """A size limit of 0 is none."""
        things = self.fill(1, 2)

        self.assertIs(self.reserve(self.cache.evictor(), 1 << 30), True)

        self.assertEqual(self.left(things), [0, 1])

    def test_shared_bytes(self) -> None:
        """A layer that two repositories have is one file: it makes room only when both have given it up."""
        layer = blob("layer")
        for place, used in ((A, 1), (B, 2), (C, 3)):
            self.cache.keep(place, layer, used)
        other = self.fill(4)

        self.assertIs(self.reserve(self.cache.evictor(max_size=200), 1), True)

        self.assertEqual(self.cache.found(), {(A, other[0].digest)})

    def test_incomplete(self) -> None:
        """As long as it isn't known what is in the tree nothing is evicted; what fits comes in."""
        things, evictor = self.fill(1, 2), self.cache.evictor(max_size=300)
        self.cache.ledger.begin()

        self.assertIs(self.reserve(evictor, 100), True)
        self.assertIs(self.reserve(evictor, 100), False)

        self.assertEqual(self.left(things), [0, 1])

    def test_broken_database(self) -> None:
        """Without an answer from the ledger nothing is kept, and the pull goes on."""
        evictor = self.cache.evictor(max_size=300)
        self.cache.ledger._database.run(lambda t: t.execute("DROP TABLE held"))

        self.assertIs(self.reserve(evictor, 100), False)

        self.assertIs(self.reserve(self.cache.evictor(), 300), True)


class DiskTests(_Case):
    """Room on the disk."""

    def test_floor(self) -> None:
        """So much is evicted that the floor stays free."""
        things = self.fill(1, 2, 3)
        self.cache.disk.size = 350

        self.assertIs(self.reserve(self.cache.evictor(floor=50), 1), True)

        self.assertEqual(self.left(things), [1, 2])

    def test_reservations_count(self) -> None:
        """What is promised is kept free on the disk, too."""
        things, evictor = self.fill(1, 2), self.cache.evictor()
        self.cache.disk.size = 300

        self.assertIs(self.reserve(evictor, 100), True)
        self.assertIs(self.reserve(evictor, 100), True)

        self.assertEqual(self.left(things), [1])

    def test_nothing_in_vain(self) -> None:
        """Where the whole cache would not make enough room nothing is evicted."""
        things = self.fill(1, 2)
        self.cache.disk.size = 250

        self.assertIs(self.reserve(self.cache.evictor(), 251), False)

        self.assertEqual(self.left(things), [0, 1])

    def test_bytes_that_a_hosted_repository_has(self) -> None:
        """Evicting what is hosted, too, frees nothing: it goes on until there is room indeed."""
        things = self.fill(1, 2, 3)
        self.cache.write("team/app", things[0])
        self.cache.disk.size = 300

        self.assertIs(self.reserve(self.cache.evictor(), 100), True)

        self.assertEqual(self.left(things), [2])
        self.assertIn(("team/app", things[0].digest), self.cache.found())

    def test_database_that_takes_nothing(self) -> None:
        """Where the ledger cannot follow no more is evicted than has to be, however often room is wanted."""
        things = self.fill(*range(1, 9))
        works = self.cache.database.run
        self.cache.database.run = lambda interaction: works(lambda t: _read_only(t, interaction))

        self.assertIs(self.reserve(self.cache.evictor(max_size=800), 150), True)
        self.assertEqual(self.left(things), [2, 3, 4, 5, 6, 7])
        self.assertIs(self.reserve(self.cache.evictor(max_size=800), 250), True)
        self.assertEqual(self.left(things), [3, 4, 5, 6, 7])

        self.cache.database.run = works
        self.get(self.cache.ledger.flush())
        self.assertEqual(self.get(self.cache.ledger.total()), 500)

    def test_database_that_takes_nothing_for_long(self) -> None:
        """When the ledger has given up a pass ends."""
        things = self.fill(*range(MAX_CHANGES + 9))
        works = self.cache.database.run
        self.cache.database.run = lambda interaction: works(lambda t: _read_only(t, interaction))

        self.do(self.cache.evictor(max_size=1).run())

        self.assertEqual(len(self.left(things)), 8)

    def test_full_disk(self) -> None:
        """On a disk that takes not one byte, nor the database's changes, room is made all the same."""
        things = self.fill(1, 2)
        self.cache.disk.size = 200
        works = self.cache.database.run
        self.cache.database.run = lambda interaction: works(lambda t: _read_only(t, interaction))

        self.assertIs(self.reserve(self.cache.evictor(), 100), True)

        self.assertEqual(self.left(things), [1])
        self.cache.database.run = works
        self.get(self.cache.ledger.flush())
        self.assertEqual(self.get(self.cache.ledger.total()), 100)


def _read_only(transaction: object, interaction: object) -> object:
    """Run a transaction in which every write fails."""
    transaction.execute("PRAGMA query_only = ON")
    try:
        return interaction(transaction)
    finally:
        transaction.execute("PRAGMA query_only = OFF")


class GroupTests(_Case):
    """What goes together."""

    def setUp(self) -> None:
        """Two images that share a base."""
        super().setUp()
        self.base, self.config = blob("base"), blob("config")
        self.layers = [blob(f"layer {number}") for number in range(2)]
        self.images = [image_thing(self.config, self.base, layer) for layer in self.layers]
        for thing in (self.base, self.config, *self.layers):
            self.cache.keep(A, thing, 1)
        for number, one in enumerate(self.images):
            self.cache.keep(A, one, number + 1, f"v{number}")

    def assert_left(self, *things: Thing) -> None:
        """Just these are in the tree."""
        self.assertEqual(self.cache.found(), {(A, thing.digest) for thing in things})

    def test_image(self) -> None:
        """With an image its tags and its own layers go; what the other needs stays."""
        self.cache.write(A, self.images[0], "latest")

        self.assertIs(self.reserve(self.cache.evictor(max_size=self.get(self.cache.ledger.total())), 1), True)

        self.assert_left(self.base, self.config, self.layers[1], self.images[1])
        self.assertEqual(self.cache.tags(), {(A, "v1"): self.images[1].digest})

    def test_use_of_a_layer(self) -> None:
        """Use of a layer keeps its image."""
        self.cache.ledger.touch(A, self.layers[0].digest, 9)

        self.assertIs(self.reserve(self.cache.evictor(max_size=self.get(self.cache.ledger.total())), 1), True)

        self.assert_left(self.base, self.config, self.layers[0], self.images[0])

    def test_index(self) -> None:
        """An index goes with all its images, from the top down."""
        index = index_thing(*self.images)
        self.cache.keep(A, index, 1, "all")

        self.do(self.cache.evictor(max_size=1).run())

        self.assert_left()
        kinds = [key.split("/")[-2] for key in self.cache.store.deleted]
        self.assertEqual(kinds, ["by-tag"] * 3 + ["by-digest"] * 3 + ["blobs"] * 4)
        self.assertTrue(self.cache.store.deleted[3].endswith(index.digest.removeprefix("sha256:")))

    def test_in_flight(self) -> None:
        """A group of which something is being fetched stays, though it was not pulled for longest."""
        for member in (self.images[0], self.layers[0], self.base):
            self.cache.flying = {(A, member.digest)}
            self.reserve(self.cache.evictor(max_size=1 << 20), 1 << 20)
            self.assertIn((A, self.images[0].digest), self.cache.found(), member)

    def test_used_while_waiting_for_the_lock(self) -> None:
        """A group that is used while its place is locked is looked at anew, and stays."""
        lock = self.cache.locks.holding(A)
        self.do(lock.__aenter__())
        passing = Deferred.fromCoroutine(self.cache.evictor(unused_for=10).run())
        self.assertNoResult(passing)

        self.cache.ledger.touch(A, self.base.digest, 99)
        self.do(lock.__aexit__(None, None, None))

        self.successResultOf(passing)
        self.assertEqual(len(self.cache.found()), 6)

    def test_needed_while_waiting_for_the_lock(self) -> None:
        """A blob that a new manifest has come to need is no root any more."""
        lone = blob("lone")
        self.cache.keep(A, lone, 0)
        lock = self.cache.locks.holding(A)
        self.do(lock.__aenter__())
        making = Deferred.fromCoroutine(
            self.cache.evictor(max_size=self.get(self.cache.ledger.total())).reserve(1),
        )
        self.cache.keep(A, image_thing(lone), 99)
        self.do(lock.__aexit__(None, None, None))

        self.assertIs(self.successResultOf(making), True)
        self.assertIn((A, lone.digest), self.cache.found())


class SharedPassTests(_Case):
    """Reservations that come at once."""

    def setUp(self) -> None:
        """A full cache whose only place is locked, so that a pass waits in it."""
        super().setUp()
        self.things = self.fill(1, 2, 3, 4)
        self.lock = self.cache.locks.holding(A)
        self.do(self.lock.__aenter__())

    def begin(self, evictor: Evictor, *sizes: int) -> list[Deferred[bool]]:
        """Reserve all at once."""
        return [Deferred.fromCoroutine(evictor.reserve(size)) for size in sizes]

    def go_on(self) -> None:
        """Let the pass go on."""
        self.do(self.lock.__aexit__(None, None, None))

    def test_one_pass(self) -> None:
        """One pass makes room for all."""
        answers = self.begin(self.cache.evictor(max_size=400), 100, 50, 120)
        with logged() as lines:
            self.go_on()

        self.assertEqual([self.successResultOf(one) for one in answers], [True, True, True])
        self.assertEqual(self.left(self.things), [3])
        self.assertEqual(lines, ["evicted 3 of docker.io with 300 bytes"])

    def test_too_much_together(self) -> None:
        """Who has waited longest is served; for what does not fit beside it nothing is evicted."""
        answers = self.begin(self.cache.evictor(max_size=400), 150, 300, 50)
        self.go_on()

        self.assertEqual([self.successResultOf(one) for one in answers], [True, False, True])
        self.assertEqual(self.left(self.things), [2, 3])

    def test_beside_the_regular_pass(self) -> None:
        """A reservation waits for one group of a regular pass, and not for the rest of it."""
        others = self.fill(5, place=C)
        lock = self.cache.locks.holding(C)
        self.do(lock.__aenter__())
        evictor = self.cache.evictor(max_size=500, unused_for=90)
        passing = Deferred.fromCoroutine(evictor.run())
        answers = self.begin(evictor, 100, 100)
        self.assertNoResult(answers[0])

        self.go_on()
        self.assertEqual([self.successResultOf(one) for one in answers], [True, True])
        self.assertNoResult(passing)

        self.do(lock.__aexit__(None, None, None))
        self.successResultOf(passing)
        self.assertEqual(self.left(self.things) + self.left(others, C), [])


class RunTests(_Case):
    """The regular pass."""

    def test_unused(self) -> None:
        """What has been unused for longer than the limit goes; to the second, it stays."""
        things = self.fill(1, 2, 3)
        self.cache.now = 2 + DAY

        self.do(self.cache.evictor(unused_for=DAY).run())

        self.assertEqual(self.left(things), [1, 2])

    def test_size(self) -> None:
        """A cache that is larger than it may be, as after a change of the configuration, is made smaller."""
        things = self.fill(1, 2, 3)

        self.do(self.cache.evictor(max_size=250).run())

        self.assertEqual(self.left(things), [1, 2])

    def test_no_limits(self) -> None:
        """Without limits everything stays."""
        things = self.fill(1)
        self.cache.now = 1e9

        self.do(self.cache.evictor().run())

        self.assertEqual(self.left(things), [0])

    def test_incomplete(self) -> None:
        """Nothing is evicted before the ledger is complete."""
        things = self.fill(1)
        self.cache.ledger.begin()

        self.do(self.cache.evictor(max_size=1).run())

        self.assertEqual(self.left(things), [0])

    def test_many(self) -> None:
        """There is no end to a pass before its work is done."""
        things = self.fill(*range(300))

        self.do(self.cache.evictor(max_size=1000).run())

        self.assertEqual(self.left(things), list(range(290, 300)))

    def test_stopped(self) -> None:
        """When the daemon stops a pass ends with the group that is being removed."""
        things, turns = self.fill(1, 2, 3), iter([False])

        self.do(self.cache.evictor(max_size=1).run(lambda: next(turns, True)))

        self.assertEqual(self.left(things), [1, 2])

    def test_unreadable(self) -> None:
        """A ledger that cannot be read is a fault of the storage."""
        self.fill(1)
        self.cache.ledger._database.run(lambda t: t.execute("DROP TABLE cached"))

        self.failureResultOf(Deferred.fromCoroutine(self.cache.evictor(unused_for=1).run()), FailedStorage)

    def test_report(self) -> None:
        """A pass says in one line what went, and tells each host's bytes; one that does nothing says nothing."""
        self.fill(1, 2)
        self.fill(1, place=C)
        evictor = self.cache.evictor(max_size=1)

        with logged() as lines:
            self.do(evictor.run())
            self.do(evictor.run())

        self.assertEqual(lines, ["evicted 2 of docker.io, 1 of ghcr.io with 300 bytes"])
        self.assertEqual(sorted(self.cache.evicted), [("docker.io", 200), ("ghcr.io", 100)])


class ClockTests(_Case):
    """A clock that is set."""

    def test_forward(self) -> None:
        """When the clock jumps ahead by years nothing has become old; from there on it ages as ever."""
        things, evictor = self.fill(10, 90), self.cache.evictor(unused_for=DAY)
        self.do(evictor.run())

        self.cache.now += 1000 * DAY
        self.do(evictor.run())
        self.assertEqual(self.left(things), [0, 1])

        for _ in range(24):
            self.cache.now += 3599
            self.do(evictor.run())
        self.assertEqual(self.left(things), [1])

    def test_backward(self) -> None:
        """When the clock goes back by years nothing is used in the future, and everything ages from there on."""
        self.cache.now = 1000 * DAY
        things, evictor = self.fill(self.cache.now - 1), self.cache.evictor(unused_for=DAY)
        self.do(evictor.run())

        self.cache.now = 100.0
        things += self.fill(99)
        self.do(evictor.run())
        self.assertEqual(self.left(things), [0, 1])

        for _ in range(25):
            self.cache.now += 3600
            self.do(evictor.run())
        self.assertEqual(self.left(things), [])


class FaultTests(_Case):
    """A store that cannot delete."""

    def test_one_group(self) -> None:
        """What cannot be deleted is passed over, and is tried again in the next pass."""
        things = self.fill(1, 2, 3)
        stuck = blob_key(A, Digest.parse(things[0].digest))
        self.cache.store.before_delete = lambda key: self._fail(key == stuck)
        with logged() as lines:
            self.do(self.cache.evictor(max_size=200).run())
        self.assertEqual(self.left(things), [0, 2])
        self.assertIn("1 groups could not be evicted", lines[-1])

        self.cache.store.before_delete = lambda key: None
        self.do(self.cache.evictor(max_size=100).run())
        self.assertEqual(self.left(things), [2])

    def test_all(self) -> None:
        """A store that deletes nothing at all is not asked without end, and nothing is kept for now."""
        things, asked = self.fill(*range(50)), list[str]()
        self.cache.store.before_delete = lambda key: self._fail(asked.append(key) is None)

        self.assertIs(self.reserve(self.cache.evictor(max_size=5000), 100), False)

        self.assertEqual(len(asked), MAX_FAILURES)
        self.assertEqual(len(self.left(things)), 50)

    def _fail(self, now: bool) -> None:
        if now:
            raise FailedStorage("Input/output error")


@frozen
class Case:
    """A world, what is in flight in it, and the limits that a pass keeps."""

    world: World
    tags: dict[tuple[str, str], str]
    flying: frozenset[tuple[str, str]]
    max_size: int
    unused_for: float

    @classmethod
    def draw(cls, data: st.DataObject) -> Case:
        """Any of them."""
        world = data.draw(worlds())
        for use in data.draw(uses(world)):
            world.use(use)
        manifests = [(place, digest) for place, digest in sorted(world.cached) if world.things[digest].is_manifest]
        numbers = data.draw(st.lists(st.sampled_from(range(len(manifests))), max_size=4)) if manifests else []
        tags = {(manifests[one][0], f"v{number}"): manifests[one][1] for number, one in enumerate(numbers)}
        anything = st.tuples(st.sampled_from(PLACES), st.sampled_from(sorted(world.things)))
        return cls(
            world,
            tags,
            data.draw(st.frozensets(anything, max_size=2)),
            world.total() * data.draw(st.integers(0, 8)) // 8 or 1,
            data.draw(st.sampled_from([0.0, 2.0, 5.0])),
        )

    def prepare(self, cache: Cache) -> None:
        """Bring a cache into this state, at the time 10."""
        cache.now = 10.0
        cache.flying = set(self.flying)
        cache.keep_world(self.world)
        for (place, tag), digest in self.tags.items():
            cache.write(place, self.world.things[digest], tag)
        cache.ledger.complete()

    def evictor(self, cache: Cache) -> Evictor:
        """What keeps the limits."""
        return cache.evictor(self.max_size, self.unused_for)

    def outcome(self) -> World:
        """What a pass leaves."""
        world = self.world.copy()
        for last_use, place, root in self.world.queue():
            due = bool(self.unused_for) and 10.0 - last_use > self.unused_for
            if not due and world.total() <= self.max_size:
                break
            if not any((place, one) in self.flying for one in world.closure(place, root)):
                world.drop(place, root)
        return world


class PropertyTests(CacheCase):
    """Whatever is in the cache."""

    def assert_sound(self, case: Case, cache: Cache) -> None:
        """No manifest that is left lacks what it had, no tag stands on nothing, nothing in flight is gone."""
        found = cache.found()
        for place, digest in found:
            had = {(place, one) for one in case.world.things[digest].needs} & set(case.world.cached)
            self.assertLessEqual(had, found)
        for (place, _), digest in cache.tags().items():
            self.assertIn((place, digest), found)
        self.assertLessEqual(case.flying & set(case.world.cached), found)

    def assert_within(self, case: Case, cache: Cache) -> None:
        """The limits are kept, or only what is waited for is left."""
        left = World(case.world.things, {key: case.world.cached[key] for key in cache.found()})
        if left.total() > case.max_size:
            for place in PLACES:
                for root in left.roots(place):
                    self.assertTrue({(place, one) for one in left.closure(place, root)} & case.flying)

    @brief
    @given(st.data())
    def test_pass(self, data: st.DataObject) -> None:
        """A pass leaves just what the rule says, keeps the limits, and the ledger agrees with the tree."""
        case = Case.draw(data)
        with cached() as cache:
            case.prepare(cache)

            self.do(case.evictor(cache).run())

            found = cache.found()
            self.assertEqual(found, set(case.outcome().cached))
            self.assertEqual(cache.tags(), {key: one for key, one in case.tags.items() if (key[0], one) in found})
            self.assert_sound(case, cache)
            self.assert_within(case, cache)
            self.assertEqual(self.get(cache.ledger.total()), case.outcome().total())

    @brief
    @given(st.data())
    def test_reservation(self, data: st.DataObject) -> None:
        """A promise is kept: with it, the cache is within its limit."""
        case, size = Case.draw(data), data.draw(st.integers(0, 600))
        with cached() as cache:
            case.prepare(cache)

            granted = self.do(case.evictor(cache).reserve(size))

            self.assertIs(granted, self.get(cache.ledger.total()) + size <= case.max_size)
            self.assert_sound(case, cache)

    @few
    @given(st.data())
    def test_fault(self, data: st.DataObject) -> None:
        """Whichever delete fails, the tree is sound, and the next pass of the same process does the rest."""
        case = Case.draw(data)
        for turn in range(self.deletes(case)):
            with cached() as cache:
                case.prepare(cache)
                evictor = case.evictor(cache)
                cache.store.before_delete = failing_at(turn, FailedStorage("Input/output error"))

                self.do(evictor.run())
                self.assert_sound(case, cache)
                self.do(evictor.run())

                self.assert_sound(case, cache)
                self.assert_within(case, cache)

    @few
    @given(st.data())
    def test_kill(self, data: st.DataObject) -> None:
        """Whenever the process is killed, the tree is sound, and the next process does the rest."""
        case, has_ledger = Case.draw(data), data.draw(st.booleans())
        for turn in range(self.deletes(case)):
            with cached() as cache:
                case.prepare(cache)
                saved = cache.save() if has_ledger else None
                cache.store.before_delete = failing_at(turn, Killed())

                self.failureResultOf(Deferred.fromCoroutine(case.evictor(cache).run()), Killed)
                self.assert_sound(case, cache)
                cache.restart(saved)
                self.do(cache.survey().run())
                self.do(case.evictor(cache).run())

                self.assert_sound(case, cache)
                self.assert_within(case, cache)
                self.assertEqual(self.get(cache.ledger.is_complete()), True)

    def deletes(self, case: Case) -> int:
        """How many deletes a pass makes."""
        with cached() as cache:
            case.prepare(cache)
            asked = list[str]()
            cache.store.before_delete = asked.append
            self.do(case.evictor(cache).run())
            return len(asked)
