"""JSON that can be read in one way only."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.strictjson import parse_object
from tests.properties import bounded


class ParseTests(SynchronousTestCase):
    """What is read, and what is not."""

    def test_object(self) -> None:
        """An object in UTF-8."""
        self.assertEqual(parse_object('{"a": [1, "ä"]}'.encode()), {"a": [1, "ä"]})

    def test_refused(self) -> None:
        """Members that are there twice; halves of surrogate pairs; what is no number; what is no object."""
        for data in (
            b'{"a": 1, "a": 2}',
            b'{"a": {"b": 1, "b": 1}}',
            b'{"a": "\\ud800"}',
            b'{"\\udfff": 1}',
            b'{"a": NaN}',
            b'{"a": -Infinity}',
            b'{"a": ' + b"9" * 5000 + b"}",
            b"[" * 100_000,
            b'{"a":' * 50_000,
            b"[]",
            b"1",
            b"",
            b"\xff",
            b'{"a": 1} x',
            b'\xef\xbb\xbf{"a": 1}',
        ):
            error = self.assertRaises(ValueError, parse_object, data)
            self.assertLess(len(str(error)), 80, data[:20])

    @bounded
    @given(st.binary(max_size=60))
    def test_bytes(self, data: bytes) -> None:
        """Whatever comes, it is an object or a ValueError."""
        with contextlib.suppress(ValueError):
            self.assertIsInstance(parse_object(data), dict)
