"""Texts of headers on their way into XML."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.rpmtext import check_text, decode, size_as_xml
from tests.properties import bounded


class DecodeTests(SynchronousTestCase):
    """Bytes that should be UTF-8."""

    def test_utf_8(self) -> None:
        """UTF-8 is what it says."""
        self.assertEqual(decode("ü 😀".encode()), "ü 😀")

    def test_latin_1(self) -> None:
        """What isn't UTF-8 is latin-1, all of it; what would be control characters is left out."""
        self.assertEqual(decode(b"\xc3\xbc \xfc \x93\x01\xa9\t\n"), "Ã ü \t\n")

    def test_almost_utf_8(self) -> None:
        """Overlong sequences and surrogates are not UTF-8."""
        for value in (b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80"):
            self.assertNotIn("\ufffd", decode(value))
            self.assertEqual(decode(value).encode().decode(), decode(value))

    @bounded
    @given(st.binary(max_size=30))
    def test_anything(self, value: bytes) -> None:
        """Whatever passes the check can be written as XML 1.0."""
        try:
            check_text("text", value)
        except InvalidPackage:
            return
        odd = [one for one in decode(value) if (one < " " and one not in "\t\n\r\0") or one in "\ufffe\uffff"]
        self.assertEqual(odd, [])


class SizeTests(SynchronousTestCase):
    """What a text grows to."""

    def test_escapes(self) -> None:
        """Markup is counted as it is written."""
        self.assertEqual(size_as_xml(b"a&b<c>\r"), len("a&amp;b&lt;c&gt;&#13;"))
