"""Digests: what is one, what is none, and how they are made."""

from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidDigest
from pkgd.formats.digest import ALGORITHMS, Digest, hasher
from tests.properties import ANY_TEXT, bounded

HEX_256 = "0123456789abcdef" * 4
HEX_512 = HEX_256 * 2
# What a digest is made of, and what it is not.
ALMOST = [
    st.sampled_from(["sha256", "sha512", "sha1", ""]),
    st.sampled_from([":", ":", "", "-"]),
    st.sampled_from([HEX_256, HEX_512, HEX_256.upper(), ""]),
    st.sampled_from(["", "", "0", "\n", "\0"]),
]


class DigestTests(SynchronousTestCase):
    """`Digest.parse` takes exactly the two registered algorithms in their canonical form."""

    def test_both_algorithms(self) -> None:
        """sha256 with 64 and sha512 with 128 lower-case hex digits are digests."""
        for text in (f"sha256:{HEX_256}", f"sha512:{HEX_512}"):
            self.assertEqual(str(Digest.parse(text)), text)

    def test_parts(self) -> None:
        """A digest is split into its algorithm and its hex."""
        self.assertEqual(Digest.parse(f"sha256:{HEX_256}"), Digest("sha256", HEX_256))

    def test_trailing_newline(self) -> None:
        """A newline behind a digest makes it none: the whole text is matched, not its first line."""
        self.assertRaises(InvalidDigest, Digest.parse, f"sha256:{HEX_256}\n")

    def test_other_shapes(self) -> None:
        """Another length, case, algorithm, separator or surplus is refused."""
        shapes = [
            "",
            ":",
            "sha256",
            "sha256:",
            HEX_256,
            "sha256:baddigeststring",
            f"sha256:{HEX_256[:-1]}",
            f"sha256:{HEX_256}0",
            f"sha256:{HEX_512}",
            f"sha512:{HEX_256}",
            f"sha256:{HEX_256.upper()}",
            f"SHA256:{HEX_256}",
            f"sha1:{'0' * 40}",
            f"md5:{'0' * 32}",
            f"sha384:{'0' * 96}",
            f"sha256-{HEX_256}",
            f" sha256:{HEX_256}",
            f"sha256:{HEX_256} ",
            f"sha256:sha256:{HEX_256}",
            f"sha256:{'٣' * 64}",
            f"sha256:{'g' * 64}",
            f"sha256:../../{HEX_256[6:]}",
        ]
        for shape in shapes:
            self.assertRaises(InvalidDigest, Digest.parse, shape)

    def test_refusal_shows_value(self) -> None:
        """The refusal carries what was given, shortened where it is long."""
        error = self.assertRaises(InvalidDigest, Digest.parse, "x" * 5000)

        self.assertEqual(error.value, "x" * 5000)
        self.assertLess(len(error.message), 400)

    @bounded
    @given(ANY_TEXT | st.tuples(*ALMOST).map("".join))
    def test_any_text(self, text: str) -> None:
        """Any text is refused as InvalidDigest, or is a digest that prints as that text."""
        try:
            digest = Digest.parse(text)
        except InvalidDigest:
            return
        self.assertEqual(str(digest), text)
        self.assertIn(digest.algorithm, ALGORITHMS)

    @bounded
    @given(st.binary(max_size=100), st.sampled_from(ALGORITHMS))
    def test_of_bytes(self, data: bytes, algorithm: str) -> None:
        """The digest of bytes is what hashlib says, and parses."""
        digest = Digest.of(data, algorithm)

        self.assertEqual(digest.encoded, hashlib.new(algorithm, data).hexdigest())
        self.assertEqual(Digest.parse(str(digest)), digest)

    def test_default_algorithm(self) -> None:
        """Without an algorithm, bytes are named by sha256."""
        self.assertEqual(Digest.of(b"").encoded, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")


class HasherTests(SynchronousTestCase):
    """`hasher` makes hash objects of the supported algorithms only."""

    def test_supported(self) -> None:
        """A hasher gives the digest that `Digest.of` gives."""
        for algorithm in ALGORITHMS:
            running = hasher(algorithm)
            running.update(b"hello")
            self.assertEqual(running.hexdigest(), Digest.of(b"hello", algorithm).encoded)

    def test_unsupported(self) -> None:
        """An algorithm that hashlib knows but the registry does not is refused, as is a name that is none."""
        for name in ("md5", "sha1", "sha384", "SHA256", "sha256\n", "", "sha256,sha512"):
            self.assertRaises(InvalidDigest, hasher, name)
