"""What API keys look like, and what doesn't look like one."""

from __future__ import annotations

import hashlib
import re

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.secrettexts import digest_of, new_key, new_secret, read_key

# One that was made once: the format is a promise to scanners for secrets.
KNOWN = "pkgd_CERgU9MG_g8JFVNAZV6zRTyex2Z2OfRrBmq5ZfRdKbMce67cVpFZ_2aPnq3"


class KeyTextTests(SynchronousTestCase):
    """One key as text."""

    def test_form(self) -> None:
        """Prefix, id, 43 characters and a checksum; no two are alike."""
        key, other = new_key(), new_key()

        self.assertTrue(re.fullmatch(r"pkgd_[0-9A-Za-z]{8}_[0-9A-Za-z]{43}_[0-9A-Za-z]{6}", key.text))
        self.assertNotEqual(key.text, other.text)
        self.assertEqual(read_key(key.text), key)

    def test_known(self) -> None:
        """A key of an older pkgd stays one; what is kept of it is the SHA-256 of its secret."""
        key = read_key(KNOWN)

        assert key is not None
        self.assertEqual((key.id, key.digest), ("CERgU9MG", hashlib.sha256(KNOWN[14:57].encode()).digest()))

    def test_hidden(self) -> None:
        """A key that is logged by mistake does not show."""
        self.assertNotIn(KNOWN, repr(read_key(KNOWN)))

    def test_slips(self) -> None:
        """Every slip of one character is found, wherever it is."""
        for at in range(len(KNOWN)):
            slip = KNOWN[:at] + ("x" if KNOWN[at] != "x" else "y") + KNOWN[at + 1 :]
            self.assertIsNone(read_key(slip), slip)

    def test_hostile(self) -> None:
        """Nothing else is one, and nothing raises."""
        body = KNOWN[5:]
        cases = ["", "pkgd_", KNOWN + "\n", " " + KNOWN, KNOWN + "0", KNOWN[:-1], KNOWN.upper(), "pkgd-" + body]
        cases += [KNOWN.replace("C", "\u0421"), KNOWN.replace("9", "\u0669"), KNOWN + "\x00", KNOWN * 2, "x" * 100_000]
        cases += ["pkgd_" + "_" * 58, "pkgd_" + "\udcff" * 59, KNOWN.replace("_", "%5F")]

        self.assertEqual([one for one in cases if read_key(one) is not None], [])

    @given(st.text(max_size=80))
    def test_any_text(self, text: str) -> None:
        """No text raises, with the prefix or without."""
        self.assertIsNone(read_key(text))
        self.assertIsNone(read_key(f"pkgd_{text}"))

    def test_digest(self) -> None:
        """Any text has a digest."""
        self.assertEqual(len(digest_of("\udcff" + new_secret())), 32)
