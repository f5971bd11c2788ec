"""What could not be read for a client: once is an accident, twice is damage."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from pkgd.blocking import InlineBlocking
from pkgd.formats.digest import Digest
from pkgd.progress import Silent, Until
from pkgd.scrub.hashing import Hasher
from pkgd.scrub.quarantine import Quarantine
from pkgd.scrub.scrubber import Stores
from pkgd.scrub.suspects import LATER, Suspects
from pkgd.sharing import KeyedLock
from pkgd.state import Index, Ledger
from pkgd.storage.fsops import DurableTree
from pkgd.storage.local import LocalStore
from pkgd.storage.spool import Spool
from tests.fixtures import inline_database
from tests.packages.fixtures import result
from tests.scrub.test_scrubber import ScrubCase
from tests.storage.fixtures import FaultyFileSystem

ONE = Digest.of(b"one")
CACHED = Digest.of(b"cached")
ALPINE = "__mirror__/docker.io/library/alpine"


class SuspectCase(ScrubCase):
    """A state on a disk that can fail."""

    def setUp(self) -> None:
        """Nothing fails yet."""
        super().setUp()
        self.now, self.fs, blocking = 1000.0, FaultyFileSystem(), InlineBlocking()
        images = DurableTree(f"{self.state}/oci", self.fs)
        packages = DurableTree(self.state, self.fs)
        store = LocalStore(images, blocking, Spool(images))
        stores = Stores(self.places, store, LocalStore(packages, blocking, Spool(packages, "spool")))
        database = inline_database(f"{self.state}/index.sqlite")
        quarantine = Quarantine(store, Index(database), Ledger(database), KeyedLock(), KeyedLock(), blocking)
        self.counted: list[int] = []
        self.suspects = Suspects(
            stores, quarantine, lambda: Hasher(blocking, None, 0), blocking, lambda: self.now, self.counted.append
        )

    def look(self, later: float = LATER) -> None:
        """Look again, so many seconds later."""
        self.now += later
        result(self.suspects.look(Silent()))

    def there(self, name: str) -> bool:
        """Whether the state has the file."""
        return os.path.exists(os.path.join(self.state, name))

    def package(self) -> tuple[str, str]:
        """The directory of a repository, and the path of a package in it."""
        (found,) = [str(one.relative_to(self.state)) for one in Path(self.state).rglob("*.deb")]
        first, second, path = found.split("/", 2)
        return f"{first}/{second}", path


class SuspectTests(SuspectCase):
    """Files on which a read has failed."""

    def test_once(self) -> None:
        """A file that can be read a minute later stays, and is no suspect any more."""
        self.suspects.blob("team/app", ONE)
        self.look()
        self.fs.fail_calls("pread")
        self.look()
        self.assertTrue(self.there(self.blob("team/app", b"one")))
        self.assertEqual(self.counted, [])

    def test_twice(self) -> None:
        """A blob that still cannot be read is set aside: so a push brings it back."""
        self.suspects.blob("team/app", ONE)
        self.fs.fail_calls("pread")
        self.look()
        name = self.blob("team/app", b"one")
        self.assertFalse(self.there(name))
        self.assertTrue(self.there(f"oci/__spool__/quarantine/{name.removeprefix('oci/')}"))
        self.assertEqual(self.counted, [1])

    def test_not_at_once(self) -> None:
        """Within the minute nothing happens, however often it is asked for."""
        self.fs.fail_calls("pread")
        self.suspects.blob("team/app", ONE)
        self.look(LATER / 2)
        self.suspects.blob("team/app", ONE)
        self.look(LATER / 2 - 1)
        self.assertTrue(self.there(self.blob("team/app", b"one")))
        self.look(1)
        self.assertFalse(self.there(self.blob("team/app", b"one")))

    def test_other_bytes(self) -> None:
        """What can be read, and is something else, is set aside, too."""
        self.flip(self.blob("team/app", b"one"))
        self.suspects.blob("team/app", ONE)
        self.look()
        self.assertFalse(self.there(self.blob("team/app", b"one")))

    def test_others_stay(self) -> None:
        """Only what was asked for is looked at."""
        self.suspects.blob("team/app", ONE)
        self.fs.fail_calls("pread")
        self.look()
        self.assertTrue(self.there(self.blob(ALPINE, b"cached")))
        self.assertTrue(self.there(self.blob("team/app", b"base")))

    def test_mirrored(self) -> None:
        """What the mirror has cached is deleted, and so fetched again."""
        self.suspects.blob(ALPINE, CACHED)
        self.fs.fail_calls("pread")
        self.look()
        self.assertFalse(self.there(self.blob(ALPINE, b"cached")))
        self.assertFalse(self.there("oci/__spool__/quarantine"))

    def test_package(self) -> None:
        """A package is set aside beside its pool; one that can be read again is whole by what its path says."""
        directory, path = self.package()
        self.suspects.package(directory, path)
        self.look()
        self.assertTrue(self.there(f"{directory}/{path}"))
        self.suspects.package(directory, path)
        self.fs.fail_calls("pread")
        self.look()
        self.assertFalse(self.there(f"{directory}/{path}"))
        self.assertTrue(self.there(f"{directory}/=damaged/{path}"))

    def test_deleted(self) -> None:
        """What is gone meanwhile is nobody's business."""
        os.unlink(os.path.join(self.state, self.blob("team/app", b"one")))
        self.suspects.blob("team/app", ONE)
        self.look()
        self.assertEqual(self.counted, [])

    def test_busy(self) -> None:
        """Where the machine has run out of descriptors nothing is said of the file: it is tried again."""
        self.suspects.blob("team/app", ONE)
        self.fs.fail_calls("open", error=errno.EMFILE)
        self.look()
        self.assertTrue(self.there(self.blob("team/app", b"one")))
        self.fs.fail_calls("pread")
        self.look()
        self.assertFalse(self.there(self.blob("team/app", b"one")))

    def test_full(self) -> None:
        """What cannot be set aside for lack of space stays, and is tried again; others don't wait for it."""
        self.flip(self.blob("team/app", b"one"))
        self.suspects.blob("team/app", ONE)
        self.suspects.blob(ALPINE, CACHED)
        self.flip(self.blob(ALPINE, b"cached"))
        self.fs.fail_calls("mkdir", error=errno.ENOSPC)
        self.look()
        self.assertTrue(self.there(self.blob("team/app", b"one")))
        self.assertFalse(self.there(self.blob(ALPINE, b"cached")))
        self.fs.heal()
        self.look()
        self.assertFalse(self.there(self.blob("team/app", b"one")))

    def test_stop(self) -> None:
        """The daemon's stop waits for none of it."""
        self.suspects.blob("team/app", ONE)
        self.now += LATER
        before = self.fs.counts["pread"]
        result(self.suspects.look(Until(lambda: True)))
        self.assertEqual(self.fs.counts["pread"], before)

    def test_bounded(self) -> None:
        """However much fails, little is remembered: the scrub finds the rest."""
        for number in range(5000):
            self.suspects.blob("team/app", Digest.of(str(number).encode()))
        self.assertEqual(len(self.suspects._noted), 1000)
