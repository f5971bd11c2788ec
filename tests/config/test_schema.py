"""The sections: their defaults, and secrets that stay secret."""

from __future__ import annotations

import os

import msgspec

from pkgd.config import Config, Mirror, Secret, UpstreamRegistry
from tests.config.cases import ConfigCase


class DefaultTests(ConfigCase):
    """Without a file, pkgd runs for whoever sits at the machine."""

    def test_values(self) -> None:
        """The documented defaults."""
        config = self.read()

        self.assertEqual(config.server.listen, ["tcp:8080:interface=127.0.0.1"])
        self.assertEqual((config.limits.manifest_size, config.limits.upload_size), (4 << 20, 0))
        self.assertEqual((config.limits.upload_expiry, config.server.shutdown.drain), (86400.0, 30.0))
        self.assertEqual((config.storage.filesystem.min_free, config.storage.filesystem.fsync), (256 << 20, True))
        self.assertEqual((config.logging.level, config.logging.access.file), ("info", "-"))

    def test_mirror(self) -> None:
        """The mirror is off; once on, it keeps to what the original did, and to what a disk can hold."""
        mirror = self.read().mirror

        self.assertEqual((mirror.enable_proxy, mirror.upstream_mirror, mirror.upstream_only), (False, [], False))
        self.assertEqual(mirror.fallback, ["docker.io", "registry.k8s.io", "ghcr.io"])
        self.assertEqual((mirror.trust_registry_host_header, mirror.path_prefix), (True, True))
        self.assertEqual((mirror.allow, mirror.deny, mirror.reserved), (["**"], [], []))
        self.assertEqual((mirror.tag_ttl, mirror.serve_stale, mirror.negative_ttl), (300.0, float("inf"), 60.0))
        self.assertEqual((mirror.evict.max_size, mirror.evict.unused_for), (200 << 30, 30 * 86400.0))
        self.assertEqual(mirror.registries, {})

    def test_registry(self) -> None:
        """An upstream registry without settings is asked anonymously, 16 times at once."""
        one = self.read("mirror: {registries: {ghcr.io: {}}}").mirror.registries["ghcr.io"]

        self.assertEqual(one, UpstreamRegistry(url="https://ghcr.io"))
        self.assertEqual((one.username, one.password, one.password_file, one.ca_file), (None,) * 4)
        self.assertEqual((one.max_concurrent, one.private_hosts), (16, []))

    def test_others(self) -> None:
        """Metrics are on, and the server has no name."""
        config = self.read()

        self.assertEqual(
            (config.metrics.enabled, config.server.external_url, config.server.own_names), (True, None, [])
        )
        self.assertFalse(self.read("metrics: {enabled: false}").metrics.enabled)

    def test_empty_documents(self) -> None:
        """An empty file, or one of comments, is no different."""
        for text in ("", "\n", "# nothing\n", "---\n", "null\n"):
            self.assertEqual(self.read(text), self.read())

    def test_state_directory(self) -> None:
        """State is in ./pkgd-data, or where systemd says; of several directories, in the first."""
        self.assertEqual(self.read().state_dir, os.path.join(os.getcwd(), "pkgd-data"))
        self.assertEqual(self.read("", {"STATE_DIRECTORY": "/var/lib/pkgd"}).state_dir, "/var/lib/pkgd")
        self.assertEqual(self.read("", {"STATE_DIRECTORY": "/var/lib/pkgd:/var/lib/b"}).state_dir, "/var/lib/pkgd")

    def test_frozen(self) -> None:
        """A configuration does not change any more."""
        self.assertRaises(AttributeError, setattr, self.read(), "version", 2)


class SecretTests(ConfigCase):
    """A secret is shown by `reveal` alone."""

    def test_hidden(self) -> None:
        """No form of text shows it, nor that of a configuration that has it."""
        secret = Secret("hunter2-canary")
        config = Config(mirror=Mirror(registries={"ghcr.io": UpstreamRegistry(username="bob", password=secret)}))

        for shown in (repr(secret), str(secret), f"{secret}", f"{secret!r}", f"{config}", repr(config)):
            self.assertNotIn("hunter2", shown)
            self.assertIn("********", shown)
        self.assertEqual(secret.reveal(), "hunter2-canary")

    def test_not_encoded(self) -> None:
        """Who encodes a configuration without having thought of secrets gets an error, and no secret."""
        registry = UpstreamRegistry(username="bob", password=Secret("hunter2-canary"))
        for encode in (msgspec.json.encode, msgspec.yaml.encode, msgspec.to_builtins):
            self.assertNotIn("hunter2", str(self.assertRaises(TypeError, encode, registry)))

    def test_equality(self) -> None:
        """Secrets are equal if their texts are, and never equal to a text."""
        self.assertEqual((Secret("a"), hash(Secret("a"))), (Secret("a"), hash(Secret("a"))))
        self.assertNotEqual(Secret("a"), Secret("b"))
        self.assertNotEqual(Secret("a"), "a")
