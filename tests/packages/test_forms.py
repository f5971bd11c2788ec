"""Leaves joined into files, in every form."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.packages.forms import SUFFIXES, compress, expand, frame, piece, read_unpadded
from tests.packages.readers import expanded
from tests.properties import bounded

_TEXTS = st.lists(st.binary(min_size=1, max_size=300), max_size=6)


class FormTests(SynchronousTestCase):
    """What is joined from leaves."""

    @bounded
    @given(_TEXTS, st.sampled_from(sorted(SUFFIXES)))
    def test_joined_leaves_are_one_file(self, texts: list[bytes], form: str) -> None:
        """Which other decoders expand to the joined texts; even with no leaves at all."""
        files = [compress(form, text) for text in texts]
        sizes = [read_unpadded(one) if form == "xz" else len(one) for one in files]
        head, tail = frame(form, list(zip(sizes, map(len, texts), strict=True)))
        pieces = []
        for data, size in zip(files, sizes, strict=True):
            start, length = piece(form, size)
            pieces.append(data[start : start + length])
        self.assertEqual(expanded(f"x{SUFFIXES[form]}", head + b"".join(pieces) + tail), b"".join(texts))

    @bounded
    @given(st.binary(max_size=300), st.sampled_from(sorted(SUFFIXES)))
    def test_a_leaf_is_expanded_to_its_text(self, text: bytes, form: str) -> None:
        """Each form is undone."""
        self.assertEqual(expand(form, compress(form, text)), text)

    def test_what_stands_around_the_leaves_is_part_of_the_file(self) -> None:
        """In the forms that rpm's metadata has."""
        for form in ("", "gz", "zst"):
            data = compress(form, b"leaf")
            head, tail = frame(form, [(len(data), 4)], b"<a>", b"</a>")
            self.assertEqual(expanded(f"x{SUFFIXES[form]}", head + data + tail), b"<a>leaf</a>")
