"""Everything that is stored is read again, and what has rotted is served no more."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.logger import LogLevel, capturedLogs

from pkgd.blocking import InlineBlocking
from pkgd.commands.scrub import lines
from pkgd.formats.digest import Digest
from pkgd.metrics import Metrics
from pkgd.progress import Silent, Until
from pkgd.scrub.cursor import KEY, CursorFile
from pkgd.scrub.hashing import Hasher
from pkgd.scrub.quarantine import Quarantine
from pkgd.scrub.scrubber import Scrubber, Stores
from pkgd.sharing import KeyedLock
from pkgd.state import Index, Ledger
from pkgd.storage.fsops import DurableTree
from pkgd.storage.local import LocalStore
from pkgd.storage.spool import Spool
from pkgd.upkeep import Scrubbing
from pkgd.upkeep_command import carry_out
from tests.backup.fixtures import BackupCase, image
from tests.fixtures import inline_database
from tests.packages.fixtures import QuietFileSystem, result


class ScrubCase(BackupCase):
    """A state with images, a mirror's cache and packages."""

    def flip(self, name: str) -> Path:
        """Flip a bit, as a disk does: nothing else of the file changes."""
        path = Path(self.state, name)
        found, data = path.stat(), bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
        return path

    def blob(self, repository: str, data: bytes) -> str:
        """A blob's name in the state."""
        return f"oci/{repository}/blobs/{Digest.of(data).encoded}"


class CommandTests(ScrubCase):
    """`pkgd scrub` where no daemon runs."""

    def scrub(self) -> dict[str, str]:
        """What was done, by name."""
        found = carry_out(self.config, "scrub", {})
        self.assertTrue(found["is_complete"])
        self.assertEqual(list(lines(found))[-1], f"{found['objects']} objects read, {len(found['damage'])} damaged")
        return {one["name"]: one["done"] for one in found["damage"]}

    def test_sound(self) -> None:
        """A sound state stays as it is."""
        self.assertEqual(self.scrub(), {})
        self.assert_well()

    def test_hosted_blob(self) -> None:
        """A damaged blob is set aside, and is nobody's any more; a second pass finds nothing."""
        name = self.blob("team/app", b"one")
        path = self.flip(name)
        damaged = path.read_bytes()

        with capturedLogs() as logs:
            self.assertEqual(self.scrub(), {name.removeprefix("oci/"): "set aside"})
        self.assertFalse(path.exists())
        aside = Path(self.state, "oci/__spool__/quarantine", name.removeprefix("oci/"))
        self.assertEqual(aside.read_bytes(), damaged)
        self.assertEqual([one["log_level"] for one in logs], [LogLevel.error])
        self.assertEqual(self.scrub(), {})

    def test_shared_file(self) -> None:
        """A file with several names is set aside under each of them."""
        other = Path(self.state, self.blob("team/other", b"one"))
        other.parent.mkdir(parents=True)
        other.hardlink_to(Path(self.state, self.blob("team/app", b"one")))
        self.flip(self.blob("team/app", b"one"))

        self.assertEqual(len(self.scrub()), 2)
        self.assertFalse(other.exists())

    def test_hosted_manifest(self) -> None:
        """A damaged manifest is set aside; nothing of its repository is garbage until it has come back."""
        manifest = image(b"one", b"base")
        path = self.flip(f"oci/team/app/manifests/by-digest/{Digest.of(manifest).encoded}")

        self.assertEqual(list(self.scrub().values()), ["set aside"])
        self.assertFalse(path.exists())
        os.utime(Path(self.state, self.blob("team/app", b"one")), (0, 0))
        (found,) = carry_out(self.config, "gc", {"apply": True})["repositories"]
        self.assertIn("quarantine", found["problem"])
        self.put("team/app", "manifests/by-digest", manifest)
        self.assertEqual([one["problem"] for one in carry_out(self.config, "gc", {"apply": False})["repositories"]], [])

    def test_mirrored(self) -> None:
        """What the mirror has cached is deleted if it is damaged: it is fetched again."""
        path = self.flip(self.blob("__mirror__/docker.io/library/alpine", b"cached"))

        self.assertEqual(list(self.scrub().values()), ["deleted"])
        self.assertFalse(path.exists())
        self.assertFalse(Path(self.state, "oci/__spool__/quarantine").exists())

    def test_packages(self) -> None:
        """Damaged packages are set aside, beside their pools."""
        names = [
            str(one.relative_to(self.state)) for end in ("deb", "rpm") for one in Path(self.state).rglob(f"*.{end}")
        ]
        self.assertEqual(len(names), 2)
        for one in names:
            self.flip(one)

        self.assertEqual(self.scrub(), dict.fromkeys(names, "set aside"))
        for one in names:
            self.assertFalse(Path(self.state, one).exists())


class RecurringTests(ScrubCase):
    """The pass that comes now and again."""

    def setUp(self) -> None:
        """A scrubber on the state, and a clock."""
        super().setUp()
        self.now, self.blocking, self.waited = 1000.0, InlineBlocking(), list[float]()
        images = DurableTree(f"{self.state}/oci", QuietFileSystem())
        store = LocalStore(images, self.blocking, Spool(images))
        database = inline_database(f"{self.state}/index.sqlite")
        index, ledger = Index(database), Ledger(database)
        quarantine = Quarantine(store, index, ledger, KeyedLock(), KeyedLock(), self.blocking)
        self.quarantine, packages = quarantine, self.ground.store
        assert isinstance(packages, LocalStore)
        stores = Stores(self.places, store, packages)
        scrubber = Scrubber(stores, quarantine, lambda: Hasher(self.blocking, self.wait, 1 << 20), self.blocking)
        self.cursor = CursorFile(packages, self.blocking)
        self.scrubbing = Scrubbing(self.config, scrubber, self.cursor, Metrics(), lambda: self.now)

    async def wait(self, seconds: float) -> None:
        """Note how long it would have waited."""
        self.waited.append(seconds)

    def test_interval(self) -> None:
        """A pass comes when the interval is over, counted from the beginning of the one before, across restarts."""
        result(self.scrubbing.recur(Silent()))
        count = len(self.waited)
        self.assertGreater(count, 0)
        result(self.scrubbing.recur(Silent()))
        self.assertEqual(len(self.waited), count)
        self.now += 7 * 86400
        result(self.scrubbing.recur(Silent()))
        self.assertEqual(len(self.waited), 2 * count)

    def test_resumed(self) -> None:
        """Stopped after each file it goes on behind it, until it is through; each is read once."""
        result(self.scrubbing.recur(Silent()))
        whole, self.waited = len(self.waited), []
        Path(self.state, KEY).unlink()
        for count in range(1, whole + 1):
            asked = iter([False, False, True])  # before the file, after its only piece, before the next file
            result(self.scrubbing.recur(Until(lambda asked=asked: next(asked))))  # type: ignore[misc]
            self.assertEqual(len(self.waited), count)
            cursor = result(self.cursor.read())
            assert cursor is not None
            if cursor.after is None:
                break
        self.assertEqual(len(self.waited), whole)

    def test_rate(self) -> None:
        """It waits for as long as its bytes take at the rate."""
        result(self.scrubbing.recur(Silent()))

        sizes = {one.stat().st_size / (1 << 20) for one in Path(self.state, "oci/team/app/blobs").iterdir()}
        self.assertLessEqual(sizes, set(self.waited))

    def test_damaged_cursor(self) -> None:
        """A cursor that cannot be read begins a new pass."""
        for text in ("", "{", "[]", "null", '{"began": "x"}', '{"began": 1, "after": 5}', '{"began": 1}'):
            Path(self.state, KEY).write_text(text)
            self.assertIsNone(result(self.cursor.read()), text)

    def test_count(self) -> None:
        """The quarantine knows how many objects it has: `/ready` says so."""
        self.assertEqual(result(self.quarantine.count()), 0)
        self.flip(self.blob("team/app", b"one"))
        result(self.scrubbing.recur(Silent()))
        self.assertEqual(result(self.quarantine.count()), 1)
