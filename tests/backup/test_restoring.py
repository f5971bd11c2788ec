"""`pkgd restore`: what comes out of a backup, and when nothing does."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from pkgd.backup.inventory import FILE
from pkgd.backup.places import Places, Rank, rank_of
from pkgd.backup.restoring import restore
from pkgd.errors import ConfigError, FailedStorage
from pkgd.formats.digest import Digest
from pkgd.locking import RESTORING, lock_state
from tests.backup.fixtures import BackupCase, Meanwhile, files_of
from tests.packages.fixtures import result


class Stop(Exception):
    """The process ends here."""


class _Log(Meanwhile):
    """Looks at the target after each file."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self.ranks: list[Rank] = []
        self._target = Path(target)
        self._seen: set[str] = set()

    def advance(self, size: int) -> None:
        """See `Progress`."""
        super().advance(size)
        found = {str(one.relative_to(self._target)) for one in self._target.rglob("*") if one.is_file()}
        self.ranks += [rank_of(one) for one in found - self._seen if "/" in one]
        self._seen = found


class RestoreTests(BackupCase):
    """A backup is put back."""

    def setUp(self) -> None:
        """Take it."""
        super().setUp()
        other = Path(self.state, "oci/team/other/blobs")
        other.mkdir(parents=True)
        name = Digest.of(b"base").encoded
        os.link(f"{self.state}/oci/team/app/blobs/{name}", other / name)
        _, self.backup, _ = self.back_up()

    def empty(self) -> Places:
        """Where there is no state yet."""
        state = os.path.abspath(self.mktemp())
        return Places(state, f"{state}/oci")

    def test_byte_for_byte(self) -> None:
        """All that was in the backup, with its times and modes; one blob of two repositories is one file."""
        status, state = self.restore(self.backup)
        self.assertEqual(status, 0)
        expected = {name: data for name, data in files_of(self.backup).items() if name != FILE}
        found = files_of(state)
        del found["pkgd.lock"]
        self.assertEqual(found, expected)
        for name in expected:
            if name != "pkgd.sqlite":
                self.assertEqual(os.stat(f"{state}/{name}").st_mtime_ns, os.stat(f"{self.state}/{name}").st_mtime_ns)
        (key,) = Path(state, "keys").iterdir()
        modes = [os.stat(one).st_mode & 0o777 for one in (key, key.parent, f"{state}/pkgd.sqlite")]
        self.assertEqual(modes, [0o600, 0o700, 0o600])
        names = [f"{state}/oci/team/{one}/blobs/{Digest.of(b'base').encoded}" for one in ("app", "other")]
        self.assertEqual(len({os.stat(one).st_ino for one in names}), 1)

    def test_goes_on(self) -> None:
        """Package repositories go on where they were, with the same key."""
        _, self.state = self.restore(self.backup)
        self.config = self.read(self.configuration())
        self.ground = type(self.ground)(self.state, in_memory=False)
        apt, rpm = self.repositories()
        self.assertEqual([one.name for one in result(apt.list("stable"))], ["hello"])
        self.assertEqual([one.name for one in result(rpm.list())], ["hello"])
        self.assertEqual(result(apt.open("dists/stable/InRelease")).generation, 2)

    def test_links_lost(self) -> None:
        """A backup that has been copied without its links becomes a state with them."""
        copied = self.mktemp()
        for name in files_of(self.backup):
            Path(copied, name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(Path(self.backup, name), Path(copied, name))
        shutil.copytree(self.backup, copied, dirs_exist_ok=True)
        _, state = self.restore(copied)
        names = [f"{state}/oci/team/{one}/blobs/{Digest.of(b'base').encoded}" for one in ("app", "other")]
        self.assertEqual(len({os.stat(one).st_ino for one in names}), 1)

    def test_order(self) -> None:
        """What is named is there before what names it."""
        target = self.empty()
        log = _Log(target.state)
        restore(self.backup, target, log)
        self.assertEqual(log.ranks, sorted(log.ranks, reverse=True))
        self.assertEqual(set(log.ranks), set(Rank))

    def test_not_empty(self) -> None:
        """What is there is never mixed with what was."""
        target = self.empty()
        os.makedirs(f"{target.objects}/team")
        error = self.assertRaises(ConfigError, restore, self.backup, target, Meanwhile())
        self.assertIn("it is not empty, team is there", error.message)
        shutil.rmtree(target.objects)
        Path(target.state, "pkgd.sqlite").touch()
        self.assertRaises(ConfigError, restore, self.backup, target, Meanwhile())

    def test_empty_file_system(self) -> None:
        """A new file system, and the lock of a daemon that has never run, are nothing."""
        target = self.empty()
        os.makedirs(f"{target.state}/lost+found")
        Path(target.state, "pkgd.lock").touch()
        restore(self.backup, target, Meanwhile())
        self.assert_well(target.state)

    def test_objects_elsewhere(self) -> None:
        """The object store is restored to where the configuration has it."""
        target = Places(self.empty().state, os.path.abspath(self.mktemp()))
        restore(self.backup, target, Meanwhile())
        self.assertTrue(Path(target.objects, "team/app/blobs").is_dir())
        self.assertFalse(Path(target.state, "oci").exists())

    def test_running(self) -> None:
        """A state in use is left alone."""
        target = self.empty()
        os.mkdir(target.state)
        self.addCleanup(os.close, lock_state(target.state))
        error = self.assertRaises(ConfigError, restore, self.backup, target, Meanwhile())
        self.assertIn("stop it first", error.message)

    def test_interrupted_at_every_moment(self) -> None:
        """A daemon does not start on half of a backup; the same command completes it."""
        calm = Meanwhile()
        restore(self.backup, self.empty(), calm)

        def stop() -> None:
            raise Stop

        for moment in range(1, calm.count + 1):
            target = self.empty()
            self.assertRaises(Stop, restore, self.backup, target, Meanwhile(moment, stop))
            error = self.assertRaises(ConfigError, lock_state, target.state)
            self.assertIn("was interrupted: run the same pkgd restore again", error.message)
            # The power went while the next file was written.
            half = Path(target.objects, "team/app/blobs", Digest.of(b"two").encoded)
            half.parent.mkdir(parents=True, exist_ok=True)
            half.write_bytes(b"t")
            restore(self.backup, target, Meanwhile())
            os.close(lock_state(target.state))
            self.assert_well(target.state)

    def test_damaged(self) -> None:
        """A file that is not what the inventory says is not restored, and no daemon starts on the rest."""
        for damage in (b"onf", b"o", b""):
            Path(self.backup, "oci/team/app/blobs", Digest.of(b"one").encoded).write_bytes(damage)
            target = self.empty()
            error = self.assertRaises(FailedStorage, restore, self.backup, target, Meanwhile())
            self.assertIn("of the backup is damaged", error.operation)
            self.assertTrue(Path(target.state, RESTORING).exists())

    def test_missing(self) -> None:
        """Likewise one that is not there."""
        Path(self.backup, "oci/team/app/blobs", Digest.of(b"one").encoded).unlink()
        self.assertRaises(FailedStorage, restore, self.backup, self.empty(), Meanwhile())

    def test_not_well(self) -> None:
        """A backup of a state that was not whole is restored as it is, with 1."""
        self.forget("team/app", f"blobs/{Digest.of(b'one').encoded}")
        _, backup, _ = self.back_up()
        status, state = self.restore(backup)
        self.assertEqual(status, 1)
        self.assertEqual(len(self.problems(state)), 1)


class RankTests(BackupCase):
    """Who names whom."""

    def test_ranks(self) -> None:
        """Every kind of file."""
        cases = {
            "oci/team/app/blobs/x": Rank.CONTENT,
            "oci/team/app/manifests/by-digest/x": Rank.RECORD,
            "oci/team/app/manifests/by-digest/x.meta": Rank.RECORD,
            "oci/team/app/manifests/by-tag/v1": Rank.POINTER,
            "oci/team/app/manifests/v1.json": Rank.POINTER,
            "oci/__mirror__/docker.io/x/manifests/referrers/x": Rank.RECORD,
            "oci/__mirror__/docker.io/x/.private": Rank.RECORD,
            "apt/main/pool/main/h/hello/x/y.deb": Rank.CONTENT,
            "apt/main/paths/main/h/hello/x/y.deb": Rank.CONTENT,
            "apt/main/suites/stable/current": Rank.POINTER,
            "apt/main/suites/stable/leaves/1-x.gz": Rank.RECORD,
            "rpm/internal/el9/Packages/h/x/y.rpm": Rank.CONTENT,
            "rpm/internal/el9/generations/7": Rank.RECORD,
            "rpm/internal/=current/current": Rank.POINTER,
            "keys/signing-x.asc": Rank.CONTENT,
            "pkgd.sqlite": Rank.CONTENT,
        }
        self.assertEqual({name: rank_of(name) for name in cases}, cases)
