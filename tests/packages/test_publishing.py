"""Publishing: who shares a publish, and what a failure is to whom."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import AlreadyExists, NoSpace, SigningError
from pkgd.packages.apt import AptRepository
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.drafts import Draft
from pkgd.packages.pathlists import PathLists
from pkgd.packages.publishing import Publisher
from pkgd.packages.records import AptSettings, Served, SuiteSettings, Window
from pkgd.packages.shelf import Shelf
from tests.packages.fixtures import FakeSigner, Ground, made_deb, result
from tests.packages.readers import read_suite
from tests.storage.fixtures import FullFileSystem


class SlowSigner(FakeSigner):
    """Signs when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.waiting: list[Deferred[None]] = []
        self.slow = False

    async def detach(self, data: bytes) -> bytes:
        """Waits first."""
        if self.slow:
            waiting: Deferred[None] = Deferred()
            self.waiting.append(waiting)
            await waiting
        return await super().detach(data)

    def go(self) -> None:
        """Let one signature be made."""
        self.waiting.pop(0).callback(None)


class Told:
    """What was told of publishes."""

    def __init__(self) -> None:
        self.events: list[tuple[str, float]] = []

    def found(self, at: float) -> None:
        """See `Told`."""
        self.events.append(("found", at))

    def published(self, at: float, seconds: float) -> None:
        """See `Told`."""
        self.events += [("published", at), ("took", seconds)]

    def failed(self) -> None:
        """See `Told`."""
        self.events.append(("failed", 0.0))


class ToldTests(SynchronousTestCase):
    """What is told of publishes, for the metrics."""

    def setUp(self) -> None:
        """Nothing is published yet, and a signature takes as long as the test says."""
        self.ground = Ground(self.mktemp())
        self.signer = SlowSigner()
        self.began = self.ground.clock.seconds()

    def start(self) -> tuple[AptRepository, Told]:
        """The repository after a start."""
        told, ground = Told(), self.ground
        repository = AptRepository(
            *(AptSettings(name="main"), ground.store, ground.spool, ground.blocking, self.signer, ground.clock), told
        )
        result(repository.start())
        return repository, told

    def test_published(self) -> None:
        """When, and how long it took; the wait for the publish before is none of its time."""
        repository, told = self.start()
        self.assertEqual(told.events, [("published", self.began), ("took", 0)])
        self.signer.slow = True
        for number in range(2):
            Deferred.fromCoroutine(
                repository.add("stable", "main", self.ground.arrival("x.deb", made_deb(f"x{number}")))
            )
        for _ in range(2):
            self.ground.clock.advance(3)
            self.signer.go()
        self.assertEqual(
            told.events[2:], [("published", self.began + 3), ("took", 3), ("published", self.began + 6), ("took", 3)]
        )

    def test_found(self) -> None:
        """After a restart, and after settings that change nothing, the last publish is known."""
        self.start()
        self.ground.clock.advance(60)
        repository, told = self.start()
        self.assertEqual(told.events, [("found", self.began)])
        repository.adopt(repository.settings, self.signer)
        result(repository.start())
        self.assertEqual(told.events, [("found", self.began)] * 2)

    def test_failed(self) -> None:
        """What cannot be signed is a failure; what is refused to its uploader alone is none."""
        repository, told = self.start()
        result(repository.add("stable", "main", self.ground.arrival("x.deb", made_deb("xx"))))
        told.events.clear()
        other = repository.add("stable", "main", self.ground.arrival("x.deb", made_deb("xx", paths=["other"])))
        self.failureResultOf(Deferred.fromCoroutine(other), AlreadyExists)
        self.assertEqual(told.events, [])
        self.signer.broken = True
        call = repository.add("stable", "main", self.ground.arrival("y.deb", made_deb("yy")))
        self.failureResultOf(Deferred.fromCoroutine(call), SigningError)
        self.assertEqual(told.events, [("failed", 0.0)])


class PublisherTests(SynchronousTestCase):
    """Uploads at the same time."""

    def setUp(self) -> None:
        self.ground = Ground(self.mktemp())
        self.signer = SlowSigner()
        ground = self.ground
        self.repository = AptRepository(
            AptSettings(name="main"), ground.store, ground.spool, ground.blocking, self.signer, ground.clock
        )
        result(self.repository.start())
        self.signer.slow = True

    def begin(self, data: bytes) -> list[Any]:
        """An upload that has begun; the list has its outcome once there is one."""
        ended: list[Any] = []
        call = self.repository.add("stable", "main", self.ground.arrival("x.deb", data))
        Deferred.fromCoroutine(call).addBoth(ended.append)
        return ended

    def served(self, path: str) -> Served:
        return result(self.repository.open(path))

    def test_uploads_share_the_next_publish(self) -> None:
        """Those that come during one are in the one after it, all together, and answered then."""
        first = self.begin(made_deb("first"))
        others = [self.begin(made_deb(f"other{number}")) for number in range(50)]
        self.assertEqual((first, others[0], len(self.signer.waiting)), ([], [], 1))
        self.signer.go()
        self.assertEqual(first[0].generation, 2)
        self.assertEqual(others[0], [])
        self.signer.go()
        self.assertEqual({ended[0].generation for ended in others}, {3})
        found = read_suite(lambda path: self.ground.read(self.served(path)), "stable")
        self.assertEqual(len(found["main/binary-amd64/Packages"]), 51)

    def test_what_is_too_heavy_together_is_published_apart(self) -> None:
        """A publish takes in what it can hold; one that is heavier alone is published all the same."""
        ground = self.ground
        lists = PathLists("apt/other", ground.store, ground.blocking)
        suite = AptSuite(AptSettings(name="other"), SuiteSettings(codename="stable"), self.signer, lists)
        shelf = Shelf("apt/other", ground.store, ground.blocking)
        publisher = Publisher(shelf, suite, ground.clock, Window(), ground.spool.reserve)
        result(publisher.load())

        async def touch(draft: Draft) -> None:
            draft.touch()

        ended: list[int] = []
        for weight in (1, 600, 400, 1, 5000, 1000):
            call = Deferred.fromCoroutine(publisher.submit(touch, weight))
            call.addCallback(lambda found: ended.append(found[1]))
        while self.signer.waiting:
            self.signer.go()
        self.assertEqual(ended, [1, 2, 2, 3, 4, 5])

    def test_who_is_on_the_way_shares_it(self) -> None:
        """A publish waits for an upload that is being read, and answers both from one generation."""
        publisher = self.repository._suites.publishers["stable"]

        async def touch(draft: Draft) -> None:
            draft.touch()

        with publisher.gathering.expecting() as arrived:
            first = self.begin(made_deb("first"))
            self.assertEqual(self.signer.waiting, [])
            second = Deferred.fromCoroutine(publisher.submit(touch, arrived=arrived))
        self.signer.go()
        self.assertEqual((first[0].generation, self.successResultOf(second)[1]), (2, 2))

    def test_nothing_is_seen_before_it_is_published(self) -> None:
        """Readers have the generation before until the flip."""
        self.begin(made_deb())
        self.assertEqual(self.served("dists/stable/InRelease").generation, 1)
        self.signer.go()
        self.assertEqual(self.served("dists/stable/InRelease").generation, 2)

    def test_two_builds_of_one_version_cannot_share_a_publish(self) -> None:
        """The later one is refused, and the others that wait don't mind."""
        self.begin(made_deb("first"))
        one, other, third = (self.begin(data) for data in (made_deb(), made_deb(Section="x"), made_deb("third")))
        self.signer.go()
        self.signer.go()
        self.assertIsInstance(other[0].value, AlreadyExists)
        self.assertTrue(one[0].created)
        self.assertTrue(third[0].created)

    def test_the_same_upload_twice_at_once_is_one_package(self) -> None:
        """Both are answered alike."""
        one, other = self.begin(made_deb()), self.begin(made_deb())
        self.signer.go()
        self.assertEqual((one[0].created, other[0].created), (True, False))
        self.assertEqual(one[0].path, other[0].path)

    def test_an_architecture_may_begin_in_the_publish_of_a_package_of_all(self) -> None:
        """Which is in it then, whichever of the two came first."""
        self.begin(made_deb("first"))
        for name, architecture in (("before", "all"), ("new", "riscv64"), ("behind", "all")):
            self.begin(made_deb(name, architecture=architecture))
        self.signer.go()
        self.signer.go()
        found = read_suite(lambda path: self.ground.read(self.served(path)), "stable")
        names = [one["Package"] for one in found["main/binary-riscv64/Packages"]]
        self.assertEqual(names, ["before", "behind", "new"])

    def test_generations_of_one_second_are_told(self) -> None:
        """A client that has one of them may not be told by date that nothing has changed."""
        self.signer.slow = False
        self.ground.clock.advance(1)
        self.begin(made_deb("first"))
        self.assertFalse(self.served("dists/stable/InRelease").shares_second)
        self.begin(made_deb("second"))
        self.assertTrue(self.served("dists/stable/InRelease").shares_second)

    def test_a_failing_signer_fails_all_who_wait(self) -> None:
        """And the next upload publishes again."""
        self.begin(made_deb("first"))
        waiting = [self.begin(made_deb(f"other{number}")) for number in range(3)]
        self.signer.go()
        self.signer.broken = True
        self.signer.go()
        for ended in waiting:
            self.assertIsInstance(ended[0].value, SigningError)
        self.signer.broken = self.signer.slow = False
        again = self.begin(made_deb("other0"))
        self.assertTrue(again[0].created)

    def test_a_stop_waits_for_the_publish(self) -> None:
        """Whoever waits for it is answered."""
        ended = self.begin(made_deb())
        stopped: list[None] = []
        Deferred.fromCoroutine(self.repository.finished()).addBoth(stopped.append)
        self.assertEqual(stopped, [])
        self.signer.go()
        self.assertEqual((len(stopped), ended[0].created), (1, True))


class FullDiskTests(SynchronousTestCase):
    """On a disk without any space left."""

    def setUp(self) -> None:
        self.fs = FullFileSystem()
        self.ground = ground = Ground(os.path.abspath(self.mktemp()), in_memory=False, fs=self.fs)
        self.signer = SlowSigner()
        self.repository = AptRepository(
            AptSettings(name="main"), ground.store, ground.spool, ground.blocking, self.signer, ground.clock
        )
        result(self.repository.start())
        result(self.add("first"))
        result(self.add("second"))
        ground.spool.reserve.take()

    async def add(self, name: str) -> Any:
        return await self.repository.add("stable", "main", self.ground.arrival("x.deb", made_deb(name)))

    def packages(self) -> list[str]:
        return [one.name for one in result(self.repository.list("stable"))]

    def remove(self, name: str) -> None:
        result(self.repository.remove("stable", "main", f"{name}_1.0_amd64.deb"))

    def test_a_package_is_taken_out(self) -> None:
        """Which has to be published: the reserve is given up for it, and for the next ones."""
        self.fs.full = True
        self.remove("first")
        self.assertEqual(self.packages(), ["second"])
        self.assertFalse(os.path.exists(self.ground.tree.path("spool/reserve")))
        self.remove("second")
        self.assertEqual(self.packages(), [])

    def test_an_upload_gets_nothing_of_it(self) -> None:
        """It is refused, and what deletes need stays."""
        arrival = self.ground.arrival("x.deb", made_deb("third"))
        self.fs.full = True
        with self.assertRaises(NoSpace):
            result(self.repository.add("stable", "main", arrival))
        self.assertTrue(os.path.exists(self.ground.tree.path("spool/reserve")))
        self.assertEqual(self.packages(), ["first", "second"])

    def test_who_shares_the_publish_gains_by_it(self) -> None:
        """An upload whose file is there already is published with what is taken out."""
        self.signer.slow = True
        busy = Deferred.fromCoroutine(self.add("third"))
        upload = Deferred.fromCoroutine(self.add("fourth"))
        removal = Deferred.fromCoroutine(self.repository.remove("stable", "main", "first_1.0_amd64.deb"))
        self.fs.full = True
        while self.signer.waiting:
            self.signer.go()
        self.failureResultOf(busy, NoSpace)
        self.assertEqual(self.successResultOf(removal).generation, self.successResultOf(upload).generation)
        self.assertEqual(self.packages(), ["fourth", "second"])

    def test_without_a_reserve(self) -> None:
        """What was published stays published, and is taken out once there is space."""
        self.ground.spool.reserve.release()
        self.fs.full, self.fs._reserve = True, ""
        with self.assertRaises(NoSpace):
            self.remove("first")
        self.assertEqual(self.packages(), ["first", "second"])
        self.fs.full = False
        self.remove("first")
        self.assertEqual(self.packages(), ["second"])
