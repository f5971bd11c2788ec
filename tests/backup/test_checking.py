"""`pkgd verify`: what is wrong with a state or a backup is found, and nothing else."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from pkgd.backup.checking import check_state
from pkgd.backup.packagecheck import KnownKeys
from pkgd.errors import ConfigError
from pkgd.formats.digest import Digest
from pkgd.progress import Silent
from tests.backup.fixtures import BackupCase, Meanwhile, files_of, image

ONE = image(b"one", b"base")


class ImageTests(BackupCase):
    """Images of a state."""

    def place(self, name: str) -> Path:
        """A file of the repository."""
        return Path(self.state, "oci/team/app", name)

    def test_well(self) -> None:
        """A state as it should be: 0, and how much has been looked at."""
        status, report = self.verify()
        self.assertEqual((status, report["problems"], report["notes"]), (0, [], []))
        self.assertEqual((report["image_repositories"], report["suites"]), (2, 2))

    def test_blob_missing(self) -> None:
        """Whatever names it is named."""
        self.place(f"blobs/{Digest.of(b'base').encoded}").unlink()
        two = image(b"two", b"base")
        named = [f"oci/team/app/manifests/by-digest/{Digest.of(one).encoded}" for one in (ONE, two)]
        self.assertEqual(set(self.problems()), set(named))

    def test_manifest_missing(self) -> None:
        """A tag that leads nowhere."""
        self.place(f"manifests/by-digest/{Digest.of(ONE).encoded}").unlink()
        self.assertEqual(
            self.problems(), {"oci/team/app/manifests/by-tag/v1": f"the manifest {Digest.of(ONE)} is missing"}
        )

    def test_tag_damaged(self) -> None:
        """A tag that says nothing."""
        for noise in (b"", b"{", b'{"digest": "md5:x"}', b"\xff"):
            self.place("manifests/by-tag/v1").write_bytes(noise)
            self.assertEqual(list(self.problems()), ["oci/team/app/manifests/by-tag/v1"])

    def test_every_flipped_bit(self) -> None:
        """In blobs and manifests, hosted or cached, whichever algorithm names them."""
        long = Digest.of(b"long", "sha512")
        Path(self.state, "oci/team/app/blobs", f"sha512-{long.encoded}").write_bytes(b"long")
        self.assertEqual(self.problems(), {})
        files = [*Path(self.state, "oci").rglob("blobs/*"), *Path(self.state, "oci").rglob("by-digest/*")]
        self.assertGreater(len(files), 8)
        for path in files:
            data = path.read_bytes()
            path.write_bytes(bytes([data[0] ^ 1]) + data[1:])
            self.assertIn(str(path.relative_to(self.state)), self.problems())
            path.write_bytes(data)

    def test_no_manifest(self) -> None:
        """What is called a manifest and is none."""
        path = self.put("team/app", "manifests/by-digest", b"noise")
        self.assertEqual(list(self.problems()), [str(path.relative_to(self.state))])

    def test_media_type(self) -> None:
        """A manifest that doesn't say what it is, is what stands beside it."""
        data = json.dumps({"schemaVersion": 2, "anything": 1}).encode()
        path = self.put("team/app", "manifests/by-digest", data)
        self.assertEqual(len(self.problems()), 1)
        Path(f"{path}.meta").write_text(json.dumps({"mediaType": "application/vnd.example+json"}))
        self.assertEqual(self.problems(), {})

    def test_original(self) -> None:
        """A manifest of the original lacks a blob; a tag may lead to one by its digest."""
        self.put("old", "blobs", b"{}")
        Path(self.state, "oci/old/manifests").mkdir()
        Path(self.state, "oci/old/manifests/latest.json").write_bytes(image(b"one"))
        self.tag("old", "same", image(b"one"))
        self.assertEqual(list(self.problems()), ["oci/old/manifests/latest.json"])
        self.put("old", "blobs", b"one")
        self.assertEqual(self.problems(), {})


class PackageTests(BackupCase):
    """Package repositories of a state."""

    def files(self, pattern: str) -> list[Path]:
        """Files of both repositories."""
        found = [*Path(self.state, "apt").rglob(pattern), *Path(self.state, "rpm").rglob(pattern)]
        return [one for one in found if one.is_file()]

    def test_any_file_lost(self) -> None:
        """Of what is published now."""
        files = self.files("*")
        self.assertGreater(len(files), 10)
        for path in files:
            data = path.read_bytes()
            path.unlink()
            name = str(path.relative_to(self.state))
            if path.name == "current" or "generations/1" not in name:
                self.assertTrue(self.problems() or path.name == "current", name)
            path.write_bytes(data)
        self.assertEqual(self.problems(), {})

    def test_any_file_damaged(self) -> None:
        """Cut short, or with other bytes."""
        for path in self.files("*"):
            data = path.read_bytes()
            for damage in (data[:-1], bytes([data[0] ^ 0x20]) + data[1:], b""):
                path.write_bytes(damage)
                self.assertTrue(self.problems(), f"{path} {len(damage)}")
            path.write_bytes(data)

    def test_signature(self) -> None:
        """A generation that another key has signed."""
        for path in (
            Path(self.state, "apt/main/suites/stable/generations/2"),
            Path(self.state, "rpm/main/generations/2"),
        ):
            document = json.loads(path.read_bytes())
            for name in document["documents"]:
                if name.endswith(("InRelease", ".gpg", ".asc")):
                    good = dict(document["documents"])
                    document["documents"][name] = good[name].replace("\\nA", "\\nB", 1)[:-80] + good[name][-79:]
                    path.write_text(json.dumps(document))
                    self.assertIn(f"{path.parent.parent.relative_to(self.state)}/{name}", self.problems())
                    document["documents"] = good
            path.write_text(json.dumps(document))
        self.assertEqual(self.problems(), {})

    def test_another_key(self) -> None:
        """The keys have been exchanged: none of those that are there has signed what is published."""
        for path in Path(self.state, "keys").iterdir():
            path.unlink()
        self.repositories_keys()
        self.assertEqual(
            sorted(self.problems()),
            [
                "apt/main/suites/stable/InRelease",
                "apt/main/suites/stable/Release.gpg",
                "rpm/main/repodata/repomd.xml.asc",
            ],
        )

    def repositories_keys(self) -> None:
        """Make a new key."""
        from pkgd.packages.keyring import KeyRing

        KeyRing(f"{self.state}/keys").generate("other", 1_790_000_000, "ed25519")

    def test_no_keys(self) -> None:
        """Without any, signatures are not checked, and that is said."""
        for path in Path(self.state, "keys").iterdir():
            path.unlink()
        _, report = self.verify()
        self.assertEqual(report["problems"], [])
        self.assertEqual(report["notes"], ["not all signatures could be checked: keys are elsewhere"])


class BackupTests(BackupCase):
    """Backups."""

    def test_any_file(self) -> None:
        """One that is lost, or damaged."""
        _, backup, _ = self.back_up()
        for name in files_of(backup):
            path = Path(backup, name)
            data = path.read_bytes()
            if name == "backup.jsonl":
                continue
            path.unlink()
            self.assertIn(name, self.problems(backup))
            path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
            path.chmod(0o600)
            self.assertIn(name, self.problems(backup))
            path.write_bytes(data)
        self.assert_well(backup)

    def test_neither(self) -> None:
        """A directory that is neither a state nor a backup."""
        directory = self.mktemp()
        os.mkdir(directory)
        self.assertRaises(ConfigError, self.verify, directory)
        self.assertRaises(ConfigError, self.verify, f"{directory}/nothing")


class DatabaseTests(BackupCase):
    """SQLite's files."""

    def test_damaged(self) -> None:
        """Accounts, and what is derived."""
        for name in ("pkgd.sqlite", "index.sqlite"):
            with closing(sqlite3.connect(f"{self.state}/{name}")) as database:
                database.execute("PRAGMA journal_mode = DELETE")
                database.execute("CREATE TABLE IF NOT EXISTS x (y)")
                database.commit()
            path = Path(self.state, name)
            data = path.read_bytes()
            path.write_bytes(data[:100] + b"\xff" * 200 + data[300:])
            self.assertEqual(list(self.problems()), [name])
            path.write_bytes(data)
        self.assertEqual(self.problems(), {})

    def test_in_use(self) -> None:
        """A daemon has the index for itself, and nobody waits for it: that is said, and is no problem."""
        with closing(sqlite3.connect(f"{self.state}/index.sqlite")) as database:
            for statement in ("PRAGMA locking_mode = EXCLUSIVE", "PRAGMA journal_mode = WAL", "CREATE TABLE x (y)"):
                database.execute(statement)
            found = check_state(self.places, KnownKeys(), lambda place: False, Silent())
        self.assertEqual(found.problems, ())
        self.assertIn("index.sqlite has not been checked: it is in use", found.notes)
        afterwards = check_state(self.places, KnownKeys(), lambda place: False, Silent())
        self.assertNotIn("index.sqlite", " ".join(afterwards.notes))


class MeanwhileTests(BackupCase):
    """A daemon goes on while its state is verified."""

    def test_changes(self) -> None:
        """What comes and goes between two looks is no problem; what stays is one."""
        changes = self.changes()

        def is_sparse(place: str) -> bool:  # asked at each look
            next(changes, None)
            return False

        found = check_state(self.places, KnownKeys(), is_sparse, Meanwhile())
        self.assertEqual([where for where, _ in found.problems], ["oci/team/app/manifests/by-tag/stays"])

    def changes(self) -> Iterator[None]:
        """A tag after the other leads nowhere for a moment; another one always."""
        tags = Path(self.state, "oci/team/app/manifests/by-tag")
        self.tag("team/app", "stays", b"nowhere")
        for number in range(100):
            self.tag("team/app", f"t{number}", b"gone")
            (tags / f"t{number - 1}").unlink(missing_ok=True)
            yield
