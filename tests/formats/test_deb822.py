"""Stanzas: kept as they are written, and refused where two readers could read two things."""

from __future__ import annotations

import contextlib

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.formats.deb822 import MAX_FIELDS, parse_stanza, parse_stanzas
from tests.properties import ANY_TEXT, bounded

STANZA = b"Package: hello\nDescription: a greeting\n It greets.\n .\n  Twice. \nX-Empty:\nX-List:\n one\n two\n"


class ParseTests(SynchronousTestCase):
    """One stanza, field by field."""

    def test_values(self) -> None:
        """Names are found whatever their case; values have no space around them, but keep what is within."""
        stanza = parse_stanza(STANZA)

        self.assertEqual(stanza.names, ("Package", "Description", "X-Empty", "X-List"))
        self.assertEqual(stanza.get("PACKAGE"), "hello")
        self.assertEqual(stanza.get("description"), "a greeting\n It greets.\n .\n  Twice.")
        self.assertEqual(stanza.get("X-List"), "one\n two")
        self.assertEqual((stanza.get("X-Empty", "d"), stanza.get("Other", "d")), ("", "d"))
        self.assertTrue("x-list" in stanza and "other" not in stanza)

    def test_raw(self) -> None:
        """The text of a value is kept from its colon on, to be written again."""
        stanza = parse_stanza(b"A:  two\nB:none\nC:\n one\n")

        self.assertEqual([stanza.raw(name) for name in "ABCD"], ["  two", "none", "\n one", ""])

    def test_line(self) -> None:
        """A value that has to be one line is refused if it is more, or none."""
        stanza = parse_stanza(STANZA)

        self.assertEqual(stanza.line("Package"), "hello")
        for name in ("Description", "X-Empty", "Other"):
            self.assertRaises(InvalidPackage, stanza.line, name)

    def test_ends(self) -> None:
        """The last line end may be missing, and blank lines may follow."""
        for data in (b"A: b", b"A: b\n", b"A: b\n\n\n"):
            self.assertEqual(parse_stanza(data).get("A"), "b")

    def test_tabs(self) -> None:
        """A further line may begin with a tab."""
        self.assertEqual(parse_stanza(b"A: b\n\tc\td\n").get("A"), "b\n\tc\td")

    def test_exactly_one(self) -> None:
        """None and two are refused, however many lines are between them."""
        for data in (b"", b"\n", b"\n\n", b"A: b\n\nB: c\n", b"A: b\n\n\n\nB: c", b"\nA: b\n"):
            self.assertRaises(InvalidPackage, parse_stanza, data)

    def test_twice(self) -> None:
        """A field that is there twice is refused, in whatever case."""
        for data in (b"A: b\nA: b\n", b"Size: 1\nB: c\nsIZE: 2\n"):
            self.assertRaises(InvalidPackage, parse_stanza, data)

    def test_names(self) -> None:
        """Names have no spaces, begin as no comment or option does, and are ASCII."""
        good = parse_stanza(b'X: 1\nx-y_z.0+: 2\n!a"$: 3\n')
        self.assertEqual(len(good.names), 3)
        for data in (
            b": x",
            b"A",
            b"A b: x",
            b"A : x",
            b"#A: x",
            b"-A: x",
            b" A: x",
            "Ä: x".encode(),
            b"\xef\xbb\xbfA: x",
        ):
            self.assertRaises(InvalidPackage, parse_stanza, data + b"\n")

    def test_blank_lines(self) -> None:
        """A line of spaces would end the stanza for some and not for others; so would a dot behind a tab be blank."""
        for line in (b" ", b"\t", b"  \t ", b"\t.", b" \t.", b" .\t"):
            self.assertRaises(InvalidPackage, parse_stanza, b"A: b\n" + line + b"\nSize: 1\n")

    def test_characters(self) -> None:
        """Control characters, what passes for a line end in Unicode, and bytes that are no UTF-8 are refused."""
        bad = [bytes([code]) for code in (*range(9), *range(11, 32), 127)]
        bad += [text.encode() for text in ("\x80", "\x85", "\x9f", "\u2028", "\u2029")]
        for character in [*bad, b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xc0\x8a"]:
            self.assertRaises(InvalidPackage, parse_stanza, b"A: b" + character + b"Size: 1\n")
        self.assertEqual(parse_stanza("A: ä\u00a0😀\tb\n".encode()).get("A"), "ä\u00a0😀\tb")

    def test_many(self) -> None:
        """There is a limit to fields."""
        fields = [b"F%d: x\n" % number for number in range(MAX_FIELDS + 1)]

        self.assertEqual(len(parse_stanza(b"".join(fields[:-1])).names), MAX_FIELDS)
        self.assertRaises(InvalidPackage, parse_stanza, b"".join(fields))

    @bounded
    @given(ANY_TEXT | st.text("Aab:.#-\n\t ", max_size=40))
    def test_any_text(self, text: str) -> None:
        """Whatever is accepted is one stanza for the simplest of readers, too."""
        with contextlib.suppress(InvalidPackage):
            stanza = parse_stanza(text.encode("utf-8", "surrogatepass"))
            lines = text.rstrip("\n").split("\n")
            self.assertTrue(all(line.strip() for line in lines))
            self.assertEqual(len([line for line in lines if line[0] not in " \t"]), len(stanza.names))


class ParseManyTests(SynchronousTestCase):
    """Stanzas one after the other."""

    def test_stanzas(self) -> None:
        """Any number of empty lines is between them."""
        found = parse_stanzas(b"A: 1\n\nA: 2\n B\n\n\n\nA: 3")

        self.assertEqual([one.get("A") for one in found], ["1", "2\n B", "3"])

    def test_none(self) -> None:
        """An empty index has none."""
        self.assertEqual(list(parse_stanzas(b"")), [])

    def test_limit(self) -> None:
        """More than agreed to are refused."""
        self.assertEqual(len(list(parse_stanzas(b"A: 1\n\nA: 2\n", 2))), 2)
        self.assertRaises(InvalidPackage, list, parse_stanzas(b"A: 1\n\nA: 2\n\nA: 3\n", 2))
