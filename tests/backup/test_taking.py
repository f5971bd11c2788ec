"""`pkgd backup`: what is in a backup, whatever happens to the state meanwhile."""

from __future__ import annotations

import errno
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from pkgd.backup.inventory import Inventory
from pkgd.backup.places import Places
from pkgd.backup.taking import Order, take
from pkgd.errors import ConfigError, FailedStorage, NoSpace
from pkgd.formats.digest import Digest
from tests.backup.fixtures import BackupCase, Meanwhile, files_of, image, index
from tests.packages.fixtures import made_deb, result

ONE, TWO = image(b"one", b"base"), image(b"two", b"base")


def _blob(data: bytes) -> str:
    return f"blobs/{Digest.of(data).encoded}"


def _manifest(data: bytes) -> str:
    return f"manifests/by-digest/{Digest.of(data).encoded}"


class ContentTests(BackupCase):
    """What is in it."""

    def test_everything(self) -> None:
        """Every file of images, packages and keys, byte for byte; nothing that is derived."""
        Path(self.state, "index.sqlite").touch()
        Path(self.state, "oci/__spool__/half").write_bytes(b"half")
        Path(self.state, "admin.sock").touch()
        before = files_of(self.state)

        status, backup, said = self.back_up()

        self.assertEqual(status, 0, said)
        found = files_of(backup)
        left_out = {"index.sqlite", "oci/__spool__/half", "admin.sock", "pkgd.lock"}
        expected = {name: data for name, data in before.items() if name not in left_out and name != "pkgd.sqlite"}
        compared = {name: found.get(name) for name in expected if not name.startswith("spool/")}
        self.assertEqual(compared, {name: data for name, data in expected.items() if not name.startswith("spool/")})
        self.assertEqual(set(found) - set(expected), {"pkgd.sqlite", "backup.jsonl"})
        self.assert_well(backup)
        self.assert_well()

    def test_the_state_is_not_touched(self) -> None:
        """Not a byte, nor a time."""

        def seen() -> dict[str, tuple[int, int]]:
            found = [one for one in sorted(Path(self.state).rglob("*")) if "sqlite" not in one.name]
            return {str(one): (one.stat().st_mtime_ns, one.stat().st_ino) for one in found if one != Path(self.state)}

        before = seen()
        self.back_up()
        self.assertEqual(seen(), before)

    def test_modes(self) -> None:
        """The backup's directory, keys and accounts are for their owner."""
        _, backup, _ = self.back_up()
        (key,) = Path(backup, "keys").iterdir()
        modes = [os.stat(one).st_mode & 0o777 for one in (backup, key, key.parent, f"{backup}/pkgd.sqlite")]
        self.assertEqual(modes, [0o700, 0o600, 0o700, 0o600])

    def test_without_keys(self) -> None:
        """They are left out, and the verification says what it could not check."""
        _, backup, _ = self.back_up(with_keys=False)
        self.assertFalse(Path(backup, "keys").exists())
        status, report = self.verify(backup)
        self.assertEqual((status, report["notes"]), (0, ["without keys: signatures have not been checked"]))

    def test_without_mirror(self) -> None:
        """What has been cached is left out."""
        _, backup, _ = self.back_up(with_mirror=False)
        self.assertFalse(Path(backup, "oci/__mirror__").exists())
        self.assert_well(backup)

    def test_links(self) -> None:
        """A blob of several repositories is one file, as in the state; that of a dropped file is not lost."""
        other = Path(self.state, "oci/team/other/blobs")
        other.mkdir(parents=True)
        os.link(f"{self.state}/oci/team/app/{_blob(b'base')}", other / Digest.of(b"base").encoded)
        _, backup, _ = self.back_up()
        names = [f"{backup}/oci/team/{one}/{_blob(b'base')}" for one in ("app", "other")]
        self.assertEqual(len({os.stat(one).st_ino for one in names}), 1)

    def test_accounts(self) -> None:
        """They are copied as they were at one moment, with what a daemon has not yet moved out of its -wal."""
        with closing(sqlite3.connect(f"{self.state}/pkgd.sqlite")) as daemon:
            daemon.execute("PRAGMA wal_autocheckpoint = 0")
            daemon.execute("INSERT INTO session VALUES (x'00', 'alice', '[]', 1, 2)")
            daemon.commit()
            daemon.execute("INSERT INTO session VALUES (x'01', 'bob', '[]', 1, 2)")
            _, backup, _ = self.back_up()
        with closing(sqlite3.connect(f"{backup}/pkgd.sqlite")) as copy:
            self.assertEqual(copy.execute("SELECT user FROM session").fetchall(), [("alice",)])
        self.assertEqual([one.name for one in Path(backup).glob("pkgd.sqlite*")], ["pkgd.sqlite"])

    def test_original_tree(self) -> None:
        """The original's manifests are tags and manifests at once."""
        self.put("old", "blobs", b"{}")
        self.put("old", "blobs", b"one")
        Path(self.state, "oci/old/manifests").mkdir()
        Path(self.state, "oci/old/manifests/latest.json").write_bytes(image(b"one"))
        _, backup, _ = self.back_up()
        self.assertEqual(Path(backup, "oci/old/manifests/latest.json").read_bytes(), image(b"one"))
        self.assert_well(backup)

    def test_escaped_names(self) -> None:
        """A repository that is called like a part of the layout is one of its own."""
        self.push("team/=blobs", "v1", ONE, b"one", b"base")
        _, backup, _ = self.back_up()
        self.assertTrue(Path(backup, "oci/team/=blobs", _manifest(ONE)).exists())
        self.assert_well(backup)


class LackingTests(BackupCase):
    """A state that is not whole is backed up as it is, with 1 and a word."""

    def test_blob(self) -> None:
        """A blob that a manifest names."""
        self.forget("team/app", _blob(b"one"))
        status, backup, said = self.back_up()
        self.assertEqual(status, 1)
        self.assertIn(f"the state lacks: 1\n  {Digest.of(b'one')}, named by oci/team/app/{_manifest(ONE)}", said)
        self.assertEqual(list(self.problems(backup)), [f"oci/team/app/{_manifest(ONE)}"])

    def test_manifest(self) -> None:
        """A manifest that a tag names."""
        self.forget("team/app", _manifest(TWO))
        status, _, said = self.back_up()
        self.assertEqual(status, 1)
        self.assertIn(f"{Digest.of(TWO)}, named by oci/team/app/manifests/by-tag/v2", said)

    def test_sparse(self) -> None:
        """Where the configuration lets layers be absent, nothing is lacking."""
        self.forget("team/app", _blob(b"one"))
        sparse = f"{self.configuration()}\nrepositories: {{oci: {{sparse: ['team/*']}}}}"
        self.config = self.read(sparse)
        status, backup, said = self.back_up()
        self.assertEqual(status, 0, said)
        self.assert_well(backup)

    def test_mirror(self) -> None:
        """What a mirror has not is fetched again."""
        self.put("__mirror__/docker.io/library/alpine", "manifests/by-digest", ONE)
        self.tag("__mirror__/docker.io/library/alpine", "3", ONE)
        self.tag("__mirror__/docker.io/library/alpine", "gone", TWO)
        status, backup, said = self.back_up()
        self.assertEqual(status, 0, said)
        self.assert_well(backup)
        tags = Path(backup, "oci/__mirror__/docker.io/library/alpine/manifests/by-tag")
        self.assertEqual([one.name for one in tags.iterdir()], ["3"])

    def test_damaged(self) -> None:
        """A blob with a flipped bit is named."""
        path = self.put("team/app", "blobs", b"one")
        path.write_bytes(b"onf")
        status, _, said = self.back_up()
        self.assertEqual(status, 1)
        self.assertIn(f"DAMAGED files, which are in the backup as they are: 1\n  oci/team/app/{_blob(b'one')}", said)

    def test_pool(self) -> None:
        """A package that is published."""
        (path,) = Path(self.state, "apt").rglob("*.deb")
        path.unlink()
        status, _, said = self.back_up()
        self.assertEqual(status, 1)
        self.assertIn("hello_1.0_amd64.deb, named by apt/main/suites/stable/current", said)

    def test_records(self) -> None:
        """A leaf of what is published; the rest is there for `pkgd rebuild`."""
        for path in Path(self.state, "apt/main/suites/stable/leaves").iterdir():
            path.unlink()
        status, backup, said = self.back_up()
        self.assertEqual(status, 1)
        self.assertIn("named by apt/main/suites/stable/current", said)
        self.assertTrue(list(Path(backup, "apt/main/pool").rglob("*.deb")))
        self.assertTrue(Path(backup, "apt/main/suites/stable/current").exists())


class MeanwhileTests(BackupCase):
    """What happens at any moment of a backup leaves no reference in it dangling."""

    def at_every_moment(self, what: str) -> None:
        """Take a backup for each file in it, with something happening then; each is whole."""
        original = self.mktemp()
        shutil.copytree(self.state, original)
        calm = Meanwhile()
        self.take(calm)
        for moment in range(1, calm.count + 1):
            shutil.rmtree(self.state)
            shutil.copytree(original, self.state)
            self.apt, self.rpm = self.repositories()
            backup, taken = self.take(Meanwhile(moment, getattr(self, what)))
            self.assertEqual((taken.lacking, taken.damaged), ((), ()), moment)
            status, report = self.verify(backup)
            self.assertEqual((report["problems"], status), ([], 0), moment)

    def delete_image(self) -> None:
        """An image goes, by its tag and its manifest; its blobs by a collection of garbage."""
        self.forget("team/app", "manifests/by-tag/v1", _manifest(ONE), _blob(b"one"))

    def move_tag(self) -> None:
        """A tag gets a new image, and the old one goes."""
        self.push("team/app", "v1", image(b"new"), b"new")
        self.forget("team/app", _manifest(ONE), _blob(b"one"))

    def delete_and_push_again(self) -> None:
        """What was deleted is there again."""
        self.delete_image()
        self.push("team/app", "v1", ONE, b"one", b"base")

    def delete_index(self) -> None:
        """An index goes, and its child."""
        child = image(b"child")
        self.forget("team/app", "manifests/by-tag/all", _manifest(index(child)), _manifest(child), _blob(b"child"))

    def publish_and_sweep(self) -> None:
        """Packages come and go, and what was published before is out of its window."""
        result(self.apt.add("stable", "main", self.ground.arrival("y.deb", made_deb("bye"))))
        result(self.apt.remove("stable", "main", "hello_1.0_amd64.deb"))
        for version in ("1", "2", "3", "4"):
            self.ground.clock.advance(24 * 3600)
            result(self.apt.add("stable", "main", self.ground.arrival("z.deb", made_deb("more", version))))
            result(self.apt.sweep())

    def test_delete(self) -> None:
        """Images are deleted."""
        self.at_every_moment("delete_image")

    def test_move(self) -> None:
        """Tags are moved."""
        self.at_every_moment("move_tag")

    def test_again(self) -> None:
        """Images are deleted and come back."""
        self.at_every_moment("delete_and_push_again")

    def test_index(self) -> None:
        """Indices are deleted."""
        self.at_every_moment("delete_index")

    def test_publish(self) -> None:
        """Packages are published and swept."""
        self.at_every_moment("publish_and_sweep")


class PreviousTests(BackupCase):
    """A backup after another one."""

    def test_linked(self) -> None:
        """What has not changed is one file with the earlier one; pointers and secrets never are."""
        _, first, _ = self.back_up()
        self.push("team/app", "v3", image(b"three"), b"three")
        _, second, _ = self.back_up(previous=first)

        def inode(backup: str, name: str) -> int:
            return os.stat(f"{backup}/{name}").st_ino

        (deb,) = Path(first, "apt").rglob("*.deb")
        (key,) = Path(first, "keys").iterdir()
        shared = [f"oci/team/app/{_blob(b'one')}", str(deb.relative_to(first)), f"oci/team/app/{_manifest(ONE)}"]
        own = ["oci/team/app/manifests/by-tag/v1", "apt/main/suites/stable/current", str(key.relative_to(first))]
        self.assertEqual([inode(first, one) for one in shared], [inode(second, one) for one in shared])
        for one in own:
            self.assertNotEqual(inode(first, one), inode(second, one), one)
        self.assertIn(f"oci/team/app/{_blob(b'three')}", Inventory.read(second).entries)
        self.assert_well(second)
        shutil.rmtree(first)
        self.assert_well(second)

    def test_changed(self) -> None:
        """What has another time is copied: nobody has looked whether it is the same."""
        _, first, _ = self.back_up()
        blob = f"oci/team/app/{_blob(b'one')}"
        os.utime(f"{self.state}/{blob}", (1, 1))
        _, second, _ = self.back_up(previous=first)
        self.assertNotEqual(os.stat(f"{first}/{blob}").st_ino, os.stat(f"{second}/{blob}").st_ino)

    def test_no_backup(self) -> None:
        """What is none is refused before anything is written."""
        target = self.mktemp()
        self.assertRaises(ConfigError, self.back_up, target, previous=self.state)
        self.assertEqual([one for one in os.listdir() if one.startswith(os.path.basename(target))], [])


class WholeOrNotTests(BackupCase):
    """An interrupted backup is never taken for a whole one."""

    def test_there_already(self) -> None:
        """What is there is never written into."""
        target = os.path.abspath(self.mktemp())
        os.mkdir(target)
        self.assertRaises(ConfigError, self.back_up, target)
        self.assertEqual(os.listdir(target), [])

    def test_killed(self) -> None:
        """What a killed process leaves has another name and no inventory; it stands in the way of the next."""
        target = os.path.abspath(self.mktemp())
        os.mkdir(f"{target}.incomplete")
        error = self.assertRaises(ConfigError, self.back_up, target)
        self.assertIn("has been interrupted: remove it", error.message)
        self.assertRaises(ConfigError, self.verify, f"{target}.incomplete")
        self.assertRaises(ConfigError, self.restore, f"{target}.incomplete")

    def test_failure_at_every_moment(self) -> None:
        """A failure leaves nothing, and is said as what it is."""
        calm = Meanwhile()
        self.take(calm)

        def fail() -> None:
            raise OSError(errno.ENOSPC, "full")

        for moment in range(1, calm.count + 1):
            target = os.path.abspath(self.mktemp())
            order = Order(target)
            self.assertRaises(NoSpace, take, self.places, order, 0.0, Meanwhile(moment, fail))
            self.assertFalse(os.path.exists(target) or os.path.exists(f"{target}.incomplete"))

    def test_inventory_cut_short(self) -> None:
        """At any byte, it is none."""
        _, backup, _ = self.back_up()
        path = Path(backup, "backup.jsonl")
        data = path.read_bytes()
        for end in (*range(0, len(data) - 1, 97), len(data) - 2):
            path.write_bytes(data[:end])
            self.assertRaises(ConfigError, Inventory.read, backup)

    def test_hostile_inventory(self) -> None:
        """A name that leads elsewhere, or is of no state, makes it none."""
        for name in (
            "../x",
            "/etc/passwd",
            "oci/../../x",
            "oci//x",
            "pkgd.lock",
            "index.sqlite",
            "keysx/y",
            "oci/a\0b",
        ):
            directory = self.mktemp()
            os.mkdir(directory)
            _, backup, _ = self.back_up()
            inventory = Inventory.read(backup)
            entry = next(iter(inventory.entries.values()))
            Inventory(inventory.header, {name: entry}).write(directory)
            error = self.assertRaises(ConfigError, Inventory.read, directory)
            self.assertIn("no file of a state", error.message)

    def test_no_state(self) -> None:
        """Where there is none, there is nothing to back up."""
        self.assertRaises(ConfigError, take, Places("/nonexistent", "/nonexistent/oci"), Order("x"), 0.0, Meanwhile())

    def test_no_accounts(self) -> None:
        """A file that cannot be copied as SQLite's fails the backup."""
        Path(self.state, "pkgd.sqlite").write_bytes(b"noise" * 1000)
        self.assertRaises(FailedStorage, self.back_up)
