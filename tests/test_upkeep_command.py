"""Commands that keep the state in order, where no daemon runs and where one does."""

from __future__ import annotations

import json
import os
import time

from msgspec.structs import replace

from pkgd.blocking import InlineBlocking
from pkgd.commands import retention
from pkgd.commands.gc import lines
from pkgd.config import Config, masked
from pkgd.errors import CommandFailed, ConfigError
from pkgd.formats.digest import Digest
from pkgd.formats.names import RepositoryName, Tag
from pkgd.hosting import package_repositories
from pkgd.locking import lock_state
from pkgd.packages.apt import AptRepository
from pkgd.packages.rpm import RpmRepository
from pkgd.storage.layout import blob_key, tag_key
from pkgd.upkeep_command import carry_out
from tests.config.cases import ConfigCase
from tests.packages.fixtures import Ground, made_deb, result
from tests.packages.test_rpm import made_rpm
from tests.registry.fixtures import Registry, image
from tests.test_main import run

LAYER, GARBAGE = b"layer", b"garbage"


class CommandTests(ConfigCase):
    """`pkgd gc`."""

    def setUp(self) -> None:
        """A state with an image and a blob that nothing names."""
        super().setUp()
        self.state = os.path.abspath(self.mktemp())
        config = self.read(f"state_dir: {self.state}\nstorage: {{filesystem: {{fsync: false}}}}")
        # Files that have just been written cannot be made to look older.
        storage = replace(config.storage, gc=replace(config.storage.gc, grace=0.0))
        self.config = replace(config, storage=storage)
        self.store("blobs", LAYER)
        self.store("blobs", GARBAGE)
        self.store("manifests/by-digest", image(Digest.of(LAYER), Digest.of(LAYER)))

    def store(self, kind: str, data: bytes) -> None:
        """Put a file into the tree."""
        path = os.path.join(self.state, "oci/team/app", kind, Digest.of(data).encoded)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
        os.utime(path, (time.time() - 10, time.time() - 10))

    def has(self, data: bytes) -> bool:
        """Whether the blob is there."""
        return os.path.exists(os.path.join(self.state, "oci", blob_key("team/app", Digest.of(data))))

    def test_dry(self) -> None:
        """Without `apply` nothing goes, and the report says what would."""
        result = carry_out(self.config, "gc", {"apply": False})

        self.assertIn("team/app: 1 blobs, 7 bytes would be removed", list(lines(result)))
        self.assertTrue(self.has(GARBAGE))

    def test_apply(self) -> None:
        """With it garbage goes, what an image needs stays, and a second run finds nothing."""
        carry_out(self.config, "gc", {"apply": True})

        self.assertEqual((self.has(LAYER), self.has(GARBAGE)), (True, False))
        self.assertEqual(
            list(lines(carry_out(self.config, "gc", {"apply": True}))), ["in all 0 blobs, 0 bytes removed"]
        )

    def test_directories(self) -> None:
        """Of a repository that is gone nothing is left, unless its name would then be looked for elsewhere."""
        proxy = {"enableProxy: true": True, "enableProxy: true\nmirror: {reserved: [team/**]}": False, "": False}
        for text, stays in proxy.items():
            path = os.path.join(self.state, "oci/team/gone")
            os.makedirs(f"{path}/blobs", exist_ok=True)
            mirror = self.read(f"state_dir: {self.state}\n{text}")
            carry_out(replace(self.config, mirror=mirror.mirror), "gc", {"apply": False})
            self.assertTrue(os.path.isdir(path))
            carry_out(replace(self.config, mirror=mirror.mirror), "gc", {"apply": True})
            self.assertEqual(os.path.isdir(path), stays, text)
            self.assertTrue(self.has(LAYER))

    def test_daemon(self) -> None:
        """Where a daemon holds the state it is asked; without its socket that fails, and nothing goes."""
        lock = lock_state(self.state)
        self.addCleanup(os.close, lock)

        self.assertRaises(CommandFailed, carry_out, self.config, "gc", {"apply": True})
        self.assertTrue(self.has(GARBAGE))

    def test_no_state(self) -> None:
        """A state that is not there is not made."""
        config = self.read("state_dir: nowhere")

        self.assertRaises(ConfigError, carry_out, config, "gc", {})
        self.assertFalse(os.path.exists("nowhere"))


class RetentionTests(ConfigCase):
    """`pkgd retention`, where no daemon runs."""

    def setUp(self) -> None:
        """A state with three tags of an image, and three versions of two packages."""
        super().setUp()
        self.state = os.path.abspath(self.mktemp())
        self.audit = os.path.abspath(self.mktemp())
        self.config = self.configured(
            f"state_dir: {self.state}",
            f"logging: {{audit: {{file: {self.audit}}}}}",
            "repositories: {retention: {rules: [{resources: ['oci:**', 'apt:**', 'rpm:**'], newest: 2}]}}",
        )
        registry = Registry(os.path.join(self.state, "oci"))
        for tag in ("v1", "v2", "v3"):
            result(registry.push_image(RepositoryName("team/app"), tag, b"layer"))
        for one in result(package_repositories(self.config, InlineBlocking(), True)):
            result(one.start())
            for version in ("1", "2", "3"):
                self.upload(one, version)

    def configured(self, *lines: str) -> Config:
        """A configuration that is fast."""
        fast = ("storage: {filesystem: {fsync: false}}", "signing: {keys: {default: {algorithm: ed25519}}}")
        return self.read("\n".join([*fast, *lines]))

    def upload(self, repository: AptRepository | RpmRepository, version: str) -> None:
        """Publish a version of a package."""
        ground = Ground(self.state, in_memory=False)
        if isinstance(repository, AptRepository):
            result(repository.add("stable", "main", ground.arrival("x.deb", made_deb(version=version))))
        else:
            result(repository.add(ground.arrival("x.rpm", made_rpm(version=version))))

    def names(self, apply: bool) -> list[str]:
        """What goes."""
        found = carry_out(self.config, "retention", {"apply": apply})
        self.lines = list(retention.lines(found))
        return [it["name"] for one in found["repositories"] for it in one["goes"]]

    def test_apply(self) -> None:
        """A dry run says what goes; then it goes, and the audit log has it; then there is nothing left to go."""
        gone = ["v1", "hello 1 amd64", "hello 1-1 x86_64"]
        self.assertEqual(self.names(False), gone)
        self.assertEqual(self.lines[-1], "nothing has been removed: --apply does it")
        self.assertFalse(os.path.exists(self.audit))

        self.assertEqual(self.names(True), gone)

        self.assertEqual(self.lines[-1], "in all 3 removed, 6 tags and packages kept by rules with limits")
        self.assertIn("oci:team/app: tag v1 removed: rules[0]: not among the newest 2, pushed 2", self.lines[0])
        with open(self.audit, encoding="utf-8") as file:
            self.assertEqual([json.loads(line)["action"] for line in file], ["delete"] * 3)
        self.assertEqual(self.names(True), [])

    def test_left_alone(self) -> None:
        """A repository that had to be left alone is said, and makes the exit status 1; the others are done."""
        with open(os.path.join(self.state, "oci", tag_key("team/app", Tag("v2"))), "wb") as file:
            file.write(b"{")
        with open(self.mktemp(), "w", encoding="utf-8") as file:
            json.dump(masked(self.config), file)

        found = [run("retention", "-c", file.name, *words) for words in ([], ["--json"])]

        self.assertEqual([one.status for one in found], [1, 1])
        self.assertIn("oci:team/app: left alone: the tag v2 is damaged\n", found[0].output)
        self.assertEqual([len(one["goes"]) for one in json.loads(found[1].output)["repositories"]], [0, 1, 1])

    def test_no_keys(self) -> None:
        """A dry run makes no signing keys, nor anything else, of a state that has none."""
        rules = "[{resources: ['apt:**'], newest: 1}]"
        config = self.configured(
            f"state_dir: {os.path.abspath(self.mktemp())}", f"repositories: {{retention: {{rules: {rules}}}}}"
        )
        os.makedirs(str(config.state_dir))

        carry_out(config, "retention", {"apply": False})

        self.assertNotIn("keys", os.listdir(str(config.state_dir)))

    def test_audit_log(self) -> None:
        """Where the audit log cannot be written, nothing goes."""
        os.mkdir(self.audit)

        self.assertRaises(ConfigError, self.names, True)

        os.rmdir(self.audit)
        self.assertEqual(len(self.names(False)), 3)
