"""What is said of signing keys that are about to expire."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pkgd.blocking import InlineBlocking
from pkgd.formats.openpgp import PrivateKey, read_private_key
from pkgd.packages.expiry import KeyExpiry
from pkgd.packages.signers import Opened, StartedSigner
from tests.formats.openpgp.keyfiles import key, key_file
from tests.packages.fixtures import result

_DAY = 24 * 3600
_MADE = 1_580_000_000


class ExpiryTests(SynchronousTestCase):
    """`KeyExpiry.run`, with a key that expires and one that doesn't."""

    def setUp(self) -> None:
        """A signer with both, and 30 days to warn."""
        self.clock = Clock()
        self.clock.advance(_MADE)
        self.told: list[Mapping[tuple[str, str], float]] = []
        self.said: list[str] = []
        globalLogPublisher.addObserver(self._observe)
        self.addCleanup(globalLogPublisher.removeObserver, self._observe)
        self.key = read_private_key(key_file("gpg-expired"), None, _MADE)
        self.signer = self.started(self.key, key("pkgd-ed25519"))
        signers = {"release": self.signer}
        self.expiry = KeyExpiry(signers, self.clock, 30 * _DAY, self.told.append)

    def _observe(self, event: Any) -> None:
        if event["log_namespace"] == "pkgd.packages.expiry":
            self.said.append(f"{event['fingerprint']} {event['verb']} on {event['date']}")

    def started(self, *keys: PrivateKey) -> StartedSigner:
        """A signer with keys that have not been read yet."""

        async def opening() -> Opened:
            return Opened.native(InlineBlocking(), keys, self.clock)

        return StartedSigner("release", opening)

    def test_before_the_keys_are_read(self) -> None:
        """Nothing is known, and nothing said."""
        result(self.expiry.run())
        self.assertEqual((self.told, self.said), ([{}], []))

    def test_only_keys_that_expire_are_told_of(self) -> None:
        """When, for the metrics, at every look; in the log not before it is time."""
        result(self.signer.start())
        for _ in range(2):
            result(self.expiry.run())
        self.assertEqual(self.told, [{("release", self.key.fingerprint): self.key.expires}] * 2)
        self.assertEqual(self.said, [])

    def test_the_log_hears_of_it_once_a_day(self) -> None:
        """From 30 days before until long after."""
        result(self.signer.start())
        self.clock.advance(self.key.expires - 30 * _DAY - _MADE)
        for _ in range(30):
            result(self.expiry.run())
            self.clock.advance(3600)
        self.assertEqual(self.said, [f"{self.key.fingerprint} expires on 2020-12-31"] * 2)
        self.clock.advance(60 * _DAY)
        result(self.expiry.run())
        self.assertEqual(self.said[2:], [f"{self.key.fingerprint} has expired on 2020-12-31"])
