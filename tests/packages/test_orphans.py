"""Files that nothing names: found, and removed a day later; never one that anything names or is about to."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.packages.apt import AptRepository
from pkgd.packages.orphans import FIRST_LOOK, GRACE
from pkgd.packages.records import AptSettings, RpmSettings, SuiteSettings, Window
from pkgd.packages.rpm import RpmRepository
from tests.packages.fixtures import Ground, made_deb, result
from tests.packages.test_crashes import FragileStore, Killed
from tests.packages.test_rpm import made_rpm

_SUITES = ("stable", "testing")


class AptOrphanTests(SynchronousTestCase):
    """In an apt repository with two suites."""

    def setUp(self) -> None:
        """One package is published, and the file of another is left by a crash."""
        self.ground = Ground(self.mktemp())
        self.fragile = FragileStore(self.ground.store)
        self.repository = self.started(*_SUITES)
        self.add("stable", "kept")
        self.fragile.arm(1, False, True)
        with self.assertRaises(Killed):
            self.add("stable", "lost")
        self.fragile.revive()
        self.repository = self.started(*_SUITES)

    def started(self, *suites: str) -> AptRepository:
        """As a new process finds it."""
        settings = AptSettings(
            name="main", suites=[SuiteSettings(codename=one) for one in suites], window=Window(1, 10), contents=True
        )
        ground = self.ground
        found = AptRepository(settings, self.fragile, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(found.start())
        return found

    def add(self, suite: str, name: str) -> None:
        """Upload a package."""
        result(self.repository.add(suite, "main", self.ground.arrival("x.deb", made_deb(name))))

    def files(self) -> list[str]:
        """The names of the pool's files."""
        objects: dict[str, bytes] = self.ground.store.objects  # type: ignore[attr-defined]
        return sorted(key.rpartition("/")[2].partition("_")[0] for key in objects if "/pool/" in key)

    def after(self, seconds: float) -> list[str]:
        """The files after a sweep at that time."""
        self.ground.clock.advance(seconds)
        result(self.repository.sweep())
        return self.files()

    def test_a_day_after_they_were_found(self) -> None:
        """Not before, however old they are."""
        both = ["kept", "lost"]
        self.assertEqual(self.after(0), both)
        self.assertEqual(self.after(FIRST_LOOK), both)
        self.assertEqual(self.after(GRACE - 1), both)
        self.assertEqual(self.after(1), ["kept"])
        self.assertEqual([one.name for one in result(self.repository.list("stable"))], ["kept"])

    def test_uploaded_again_meanwhile(self) -> None:
        """It is a package like others."""
        self.after(FIRST_LOOK)
        self.add("testing", "lost")
        self.assertEqual(self.after(GRACE), ["kept", "lost"])

    def test_what_a_kept_generation_names(self) -> None:
        """Stays as long as that one is kept, though the current one does not name it."""
        self.ground.clock.advance(FIRST_LOOK)
        result(self.repository.remove("stable", "main", "kept_1.0_amd64.deb"))
        self.assertEqual(self.after(0), ["kept", "lost"])
        self.assertEqual(self.after(GRACE), ["kept"])

    def test_what_a_suite_names_that_is_not_configured(self) -> None:
        """Stays, for the suite may be configured again."""
        self.add("testing", "elsewhere")
        self.repository = self.started("stable")
        self.after(FIRST_LOOK)
        self.assertEqual(self.after(GRACE), ["elsewhere", "kept"])

    def test_records_that_cannot_be_read(self) -> None:
        """Nothing is removed: they may name anything."""
        self.add("testing", "elsewhere")
        self.repository = self.started("stable")
        self.after(FIRST_LOOK)
        objects: dict[str, bytes] = self.ground.store.objects  # type: ignore[attr-defined]
        for key in [key for key in objects if "/testing/leaves/" in key]:
            objects[key] = b"!"
        self.assertEqual(self.after(GRACE), ["elsewhere", "kept", "lost"])

    def test_an_upload_on_its_way(self) -> None:
        """While its file is placed and not yet published, the sweep waits, and then finds it named."""
        self.after(FIRST_LOOK)
        self.ground.clock.advance(GRACE)
        waiting: Deferred[bytes] = Deferred()
        signer = self.ground.signer
        signed, signer.clearsign = signer.clearsign, lambda text: waiting  # type: ignore[method-assign,assignment]
        upload = Deferred.fromCoroutine(
            self.repository.add("stable", "main", self.ground.arrival("x.deb", made_deb("lost")))
        )
        sweep = Deferred.fromCoroutine(self.repository.sweep())
        self.assertNoResult(upload)
        self.assertNoResult(sweep)
        signer.clearsign = signed  # type: ignore[method-assign]
        waiting.callback(b"SIGNED\nEND\n")
        self.successResultOf(upload)
        self.successResultOf(sweep)
        self.assertEqual(self.files(), ["kept", "lost"])


class RpmOrphanTests(SynchronousTestCase):
    """In an rpm repository."""

    def test_removed(self) -> None:
        """Documents beside the packages are no hindrance."""
        ground = Ground(self.mktemp())
        settings = RpmSettings(name="main")
        made = RpmRepository(settings, ground.store, ground.spool, ground.blocking, ground.signer, ground.clock)
        result(made.start())
        path = result(made.add(ground.arrival("x.rpm", made_rpm()))).path
        result(made.documents.put("group", ground.arrival("x", b"<comps/>")))
        objects: dict[str, bytes] = ground.store.objects  # type: ignore[attr-defined]
        objects["rpm/main/Packages/l/000000000000/lost-1-1.noarch.rpm"] = b""
        for seconds in (FIRST_LOOK, GRACE):
            ground.clock.advance(seconds)
            result(made.sweep())
        self.assertEqual([key for key in objects if "/Packages/" in key], [f"rpm/main/{path}"])
