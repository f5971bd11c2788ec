"""Documents that stand beside packages of rpm: which are taken for what they should be."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidPackage
from pkgd.packages.rpmextras import read_extra


class ReadExtraTests(SynchronousTestCase):
    """Hostile ones above all."""

    def test_what_is_no_such_document_is_refused(self) -> None:
        """By its root, its form, or its kind."""
        bomb = b'<!DOCTYPE comps [<!ENTITY a "b">]><comps/>'
        for kind, data in (("group", b"<x/>"), ("group", b"<comps>"), ("group", bomb), ("modules", b"---\n")):
            with self.assertRaises(InvalidPackage):
                read_extra(kind, data)

    def test_what_would_keep_a_thread_busy_is_refused(self) -> None:
        """Elements in elements without end, and a tag that is read anew with each piece of it."""
        for data in (b"<comps>" + b"<a>" * 1000, b'<comps a="' + b"x" * 2_000_000, b"<comps><!--" + b"x" * 2_000_000):
            with self.assertRaisesRegex(InvalidPackage, "deep|of more than"):
                read_extra("group", data)

    def test_a_long_text_is_no_tag(self) -> None:
        """A document is read in pieces, wherever they end."""
        comps = b"<comps>" + b"<group>" * 3 + b"x" * 1_000_000 + b"</group>" * 3 + b"</comps>"
        modules = b"---\ndocument: modulemd\n" + "ä".encode() * 500_000
        for kind, text in (("group", comps), ("modules", modules)):
            self.assertEqual(read_extra(kind, text), text)
        with self.assertRaises(InvalidPackage):
            read_extra("modules", b"---\ndocument: modulemd\n" + "ä".encode()[:1])

    def test_an_encoding_that_nobody_knows_is_refused(self) -> None:
        """Or that can't be read byte by byte."""
        for name in (b"x", b"utf-7", b"shift_jis"):
            with self.assertRaises(InvalidPackage):
                read_extra("group", b'<?xml version="1.0" encoding="%b"?><comps>\x82\xa0</comps>' % name)
