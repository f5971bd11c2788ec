"""Commands that keep the state in order, where no daemon runs and where one does."""

from __future__ import annotations

import os
import time

from pkgd.commands.gc import lines
from pkgd.errors import CommandFailed, ConfigError
from pkgd.formats.digest import Digest
from pkgd.locking import lock_state
from pkgd.storage.layout import blob_key
from pkgd.upkeep_command import carry_out
from tests.config.cases import ConfigCase
from tests.registry.fixtures import image

LAYER, GARBAGE = b"layer", b"garbage"


class CommandTests(ConfigCase):
    """`pkgd gc`."""

    def setUp(self) -> None:
        """A state with an image and a blob that nothing names."""
        super().setUp()
        self.state = os.path.abspath(self.mktemp())
        self.config = self.read(
            f"state_dir: {self.state}\nstorage: {{filesystem: {{fsync: false}}, gc: {{grace: 0s}}}}"
        )
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
