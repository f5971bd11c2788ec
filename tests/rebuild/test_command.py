"""The command `pkgd rebuild`, on states as a daemon leaves them."""

from __future__ import annotations

import io
import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

from pkgd.errors import ConfigError
from pkgd.formats.digest import Digest
from pkgd.locking import lock_state
from pkgd.packages.apt import AptRepository
from pkgd.packages.rpm import RpmRepository
from pkgd.rebuild.command import Request, rebuild
from pkgd.terminal import Streams
from tests.config.cases import ConfigCase
from tests.packages.fixtures import Ground, made_deb, result
from tests.packages.test_rpm import made_rpm
from tests.states import put_object, started

_LAYER = b"a layer"
_MANIFEST = {
    "schemaVersion": 2,
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "config": {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(Digest.of(b"{}")), "size": 2},
    "layers": [],
    "subject": {
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "digest": str(Digest.of(b"x")),
        "size": 1,
    },
}


class Terminal(io.StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class RebuildCase(ConfigCase):
    """A state with packages and images."""

    def setUp(self) -> None:
        """Populate it."""
        super().setUp()
        self.state = os.path.abspath(self.mktemp())
        key = "signing: {keys: {default: {algorithm: ed25519}}}"
        self.config = self.read(f"state_dir: {self.state}\n{key}\nstorage: {{filesystem: {{fsync: false}}}}")
        self.ground = Ground(self.state, in_memory=False)
        apt, rpm = self.repositories()
        result(apt.add("stable", "main", self.ground.arrival("x.deb", made_deb())))
        result(rpm.add(self.ground.arrival("x.rpm", made_rpm())))
        for name in ("team/app", "team/app/sub"):
            self.store(name, "blobs", _LAYER)
        self.store("team/app", "manifests/by-digest", json.dumps(_MANIFEST).encode())
        self.store("__mirror__/docker.io/library/alpine", "blobs", b"cached")

    def store(self, repository: str, folder: str, data: bytes) -> None:
        """Put a blob or manifest into the tree."""
        put_object(self.state, repository, folder, data)

    def repositories(self) -> tuple[AptRepository, RpmRepository]:
        """As a start finds them."""
        return started(self.ground, self.config)

    def rebuild(self, errors: io.StringIO | None = None, **request: object) -> tuple[int, str]:
        """Run it: the exit status, and what it says."""
        output = io.StringIO()
        status = rebuild(self.config, Request(**request), Streams(output, errors or io.StringIO()))  # type: ignore[arg-type]
        return status, output.getvalue()


class RebuildTests(RebuildCase):
    """`rebuild`."""

    def test_packages(self) -> None:
        """Without any pointer all is published again, by the same key, and the daemon goes on from there."""
        for path in Path(self.state).rglob("current"):
            path.unlink()
        status, said = self.rebuild()
        self.assertEqual(status, 0)
        self.assertIn("apt:main/stable: generation 3 with 1 packages", said)
        self.assertIn("rpm:main: generation 3 with 1 packages", said)
        apt, rpm = self.repositories()
        self.assertEqual([one.name for one in result(apt.list("stable"))], ["hello"])
        self.assertEqual([one.name for one in result(rpm.list())], ["hello"])
        self.assertEqual(result(apt.open("dists/stable/InRelease")).generation, 3)

    def test_index(self) -> None:
        """A file that is missing, or is noise, is made anew: what is hosted, who refers to what, what is cached."""
        path = Path(self.state, "index.sqlite")
        for data in (None, b"noise" * 1000):
            if data is not None:
                path.write_bytes(data)
            status, said = self.rebuild()
            self.assertEqual(status, 0)
            self.assertIn("index.sqlite: 2 repositories", said)
            with closing(sqlite3.connect(path)) as database:

                def rows(query: str, open_file: sqlite3.Connection = database) -> list[tuple[object, ...]]:
                    return sorted(open_file.execute(query).fetchall())

                layer, cached = str(Digest.of(_LAYER)), str(Digest.of(b"cached"))
                alpine = "__mirror__/docker.io/library/alpine"
                self.assertEqual(rows("SELECT repository FROM known"), [("team/app",), ("team/app/sub",)])
                self.assertEqual(
                    rows("SELECT place, digest FROM blob"),
                    [(alpine, cached), ("team/app", layer), ("team/app/sub", layer)],
                )
                self.assertEqual(rows("SELECT subject FROM referrer"), [(str(Digest.of(b"x")),)])
                self.assertEqual(rows("SELECT place, size FROM cached"), [(alpine, 6)])
                self.assertEqual(rows("SELECT count(*) FROM surveyed"), [(1,)])
                self.assertEqual(rows("SELECT value FROM mark WHERE name = 'clean'"), [(1,)])

    def test_a_running_daemon(self) -> None:
        """Is to be stopped first; nothing is touched."""
        lock = lock_state(self.state)
        self.addCleanup(os.close, lock)
        with self.assertRaises(ConfigError) as caught:
            self.rebuild()
        self.assertIn("stop it first", caught.exception.message)
        self.assertFalse(Path(self.state, "index.sqlite").exists())

    def test_the_lock_is_given_back(self) -> None:
        """Whatever came of it."""
        self.rebuild()
        os.close(lock_state(self.state))

    def test_something_is_lacking(self) -> None:
        """That is 1, and said."""
        (path,) = Path(self.state, "rpm").rglob("*.rpm")
        path.unlink()
        status, said = self.rebuild()
        self.assertEqual(status, 1)
        self.assertIn("MISSING files of packages: 1\n", said)
        self.assertIn(path.name, said)

    def test_adopting(self) -> None:
        """By the name of a suite or an rpm repository, which has to be configured."""
        for place in ("rpm/main", "apt/main/suites/stable"):
            for folder in ("current", "generations", "indices", "leaves"):
                for path in sorted(Path(self.state, place).glob(f"{folder}*/*")):
                    path.unlink()
            Path(self.state, place, "current").unlink()
        status, said = self.rebuild(adopting=frozenset(["apt:main/stable", "rpm:main"]))
        self.assertEqual(status, 0, said)
        self.assertEqual(said.count("1 packages, 1 of them adopted"), 2)
        for name in ("apt:main", "apt:main/testing", "rpm:other", "main"):
            with self.assertRaises(ConfigError):
                self.rebuild(adopting=frozenset([name]))

    def test_discarding(self) -> None:
        """Only what is old."""
        for name, age in (("young", 0), ("old", 2 * 86400)):
            path = Path(self.state, f"rpm/main/Packages/x/000000000000/{name}.rpm")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
            if age:
                os.utime(path, (0, 0))
        _, said = self.rebuild(is_discarding=True)
        self.assertIn("rpm:main: files that nothing names: 1\n  Packages/x/000000000000/young.rpm", said)
        self.assertIn("removed, for nothing names them: 1\n  Packages/x/000000000000/old.rpm", said)

    def test_json(self) -> None:
        """One document, and nothing else."""
        status, said = self.rebuild(as_json=True)
        found = json.loads(said)
        self.assertEqual((status, found["oci_repositories"]), (0, 2))
        self.assertEqual([one["repository"] for one in found["packages"]], ["apt:main", "rpm:main"])
        self.assertEqual(found["packages"][0]["suites"][0]["packages"], 1)

    def test_a_key_that_cannot_be_used(self) -> None:
        """Nothing is published; that is said for each repository."""
        for path in Path(self.state, "keys").iterdir():
            path.chmod(0o644)
        before = Path(self.state, "rpm/main/current").read_bytes()
        status, said = self.rebuild()
        self.assertEqual(status, 1)
        self.assertEqual(said.count("not rebuilt"), 2)
        self.assertEqual(Path(self.state, "rpm/main/current").read_bytes(), before)

    def test_terminal(self) -> None:
        """There is a bar on standard error."""
        terminal = Terminal()
        self.rebuild(terminal)
        self.assertIn("apt:main stable", terminal.getvalue())

    def test_an_empty_state(self) -> None:
        """Nothing is there, and nothing is wrong."""
        self.state = os.path.abspath(self.mktemp())
        self.config = self.read(f"state_dir: {self.state}\nsigning: {{keys: {{default: {{algorithm: ed25519}}}}}}")
        status, said = self.rebuild()
        self.assertEqual(status, 0)
        self.assertIn("nothing has been published there yet", said)
