"""The mirror, made from configurations that follow each other."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from pkgd.config import parse
from pkgd.errors import ConfigError
from pkgd.metrics import Metrics
from pkgd.mirror.upstreams import Upstreams
from pkgd.mirroring import make_upstreams
from pkgd.outbound.settings import Limits
from tests.loop import Loop

REGISTRY = "mirror: {registries: {a.example: {username: ci, password_file: password}}}\n"


class UpstreamsTests(SynchronousTestCase):
    """`make_upstreams`."""

    def setUp(self) -> None:
        """A password."""
        self.base = os.path.abspath(self.mktemp())
        os.makedirs(self.base)
        self.write("secret")

    def write(self, password: str) -> None:
        """Change it."""
        with open(os.path.join(self.base, "password"), "w", encoding="ascii") as file:
            file.write(password)
        os.chmod(os.path.join(self.base, "password"), 0o600)

    def make(self, text: str, before: Upstreams | None = None) -> Upstreams:
        """What is made of a configuration, in the place of another."""
        return make_upstreams(Loop(), parse(text, {}, self.base), Metrics([]), Limits(), "pkgd-1", before)

    def test_same(self) -> None:
        """The same upstreams stay, with their connections, and what is known of who fails, whatever else changes."""
        found = self.make(REGISTRY)

        self.assertIs(self.make(f"{REGISTRY}limits: {{upload_size: 1MiB}}\n", found), found)
        self.assertIs(self.make(REGISTRY.replace("{registries", "{tag_ttl: 1h, registries"), found), found)

    def test_changed(self) -> None:
        """What is asked elsewhere, or otherwise, begins anew; so does all of it with another password."""
        found = self.make(REGISTRY)
        for text in (
            "",
            REGISTRY.replace("a.example", "b.example"),
            REGISTRY.replace("{registries", "{upstream_mirror: ['https://c.example'], registries"),
            REGISTRY.replace("username: ci", "username: other"),
        ):
            self.assertIsNot(self.make(text, found), found, text)
        self.write("other")
        self.assertIsNot(self.make(REGISTRY, found), found)

    def test_unusable(self) -> None:
        """A file that cannot be read is an error also where the rest is the same."""
        found = self.make(REGISTRY)
        os.unlink(os.path.join(self.base, "password"))

        self.assertRaises(ConfigError, self.make, REGISTRY, found)
