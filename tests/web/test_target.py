"""Targets: what is a path and a query, and the many disguises of another file that are refused."""

from __future__ import annotations

from urllib.parse import quote

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidRequest, MalformedHttp
from pkgd.web.target import MAX_PARAMETERS, parse_path, parse_query
from tests.properties import bounded

SAFE = "abzAZ09-._~!$&'()*+,;=:@"
# Characters that a client may only send encoded, and that are harmless then.
ENCODED = '"#<>?[]^`{|}%äß日😀'
PIECES = st.sampled_from(
    [b"/", b"..", b".", b"%2e", b"%2F", b"%5c", b"%00", b"%", b"%2", b"%zz", b"%25", b"%c3%a4", b"%c3", b"%e2%80%ae"]
    + [b"\\", b"\0", b" ", b"\xe4", b"v2", b"a", b"=", b"&", b";", b"+", b"?", b"#", b"%20", b"%0a", b"%ed%a0%80"]
)
RAW = st.binary(max_size=30) | st.lists(PIECES, max_size=10).map(b"".join)


class PathTests(SynchronousTestCase):
    """A path is its segments, decoded exactly once."""

    def test_segments(self) -> None:
        """The segments stand behind the first slash; a trailing slash is an empty last one."""
        paths = {
            b"/": [""],
            b"/v2": ["v2"],
            b"/v2/": ["v2", ""],
            b"/v2/a/blobs/uploads/": ["v2", "a", "blobs", "uploads", ""],
            b"/a.b/...": ["a.b", "..."],
            b"/..a/.a/a..": ["..a", ".a", "a.."],
        }
        for path, segments in paths.items():
            self.assertEqual(parse_path(path), segments)

    def test_decoding(self) -> None:
        """Escapes are decoded once, whatever they encode: clients escape `:`, `~`, `+` and `^` as they please."""
        paths = {
            b"/sha256%3Aabc": "sha256:abc",
            b"/sha256%3aabc": "sha256:abc",
            b"/a%7Eb%2Bc%5Ed": "a~b+c^d",
            b"/%252F": "%2F",
            b"/%C3%A4": "ä",
            b"/%41": "A",
            b"/a+b": "a+b",
        }
        for path, segment in paths.items():
            self.assertEqual(parse_path(path), [segment])

    def test_traversal(self) -> None:
        """Dot segments, plain or encoded, and everything that another parser might read as one, are refused."""
        dots = [b"..", b".", b"%2e%2e", b"%2E%2e", b".%2e", b"%2e.", b"%2e", b"%2E"]
        for dot in dots:
            for path in (b"/" + dot, b"/a/" + dot, b"/" + dot + b"/a", b"/a/" + dot + b"/b", b"/a/" + dot + b"/"):
                self.assertRaises(MalformedHttp, parse_path, path)
        others = [
            b"/a\\..\\b",
            b"/a%5c..%5cb",
            b"/..%2fb",
            b"/..%2Fb",
            b"/%2f",
            b"/a%2Fb",
            b"/..%00/",
            b"/..%c0%af..",
            b"/%c0%ae",
        ]
        others += [b"/%e0%80%ae", b"/%u002e%u002e/", b"/%%32%65", b"/..;/a%", b"/.%00./", b"/%2e%2e%2fb", b"/%uff0e"]
        for path in others:
            self.assertRaises(MalformedHttp, parse_path, path)

    def test_empty_segments(self) -> None:
        """An empty segment may only be the last."""
        for path in (b"//", b"//v2/", b"/v2//a", b"/v2/a//", b"///", b"//example.com/", b"/%2F/"):
            self.assertRaises(MalformedHttp, parse_path, path)

    def test_no_path(self) -> None:
        """What does not begin with a slash is no path."""
        for path in (b"", b"v2/", b"*", b"?", b"%2Fv2", b"\\v2"):
            self.assertRaises(MalformedHttp, parse_path, path)

    def test_characters(self) -> None:
        """Controls, spaces and bytes beyond ASCII are refused, encoded controls and spaces too."""
        for byte in [*range(0x21), 0x7F]:
            self.assertRaises(MalformedHttp, parse_path, b"/a" + bytes([byte]) + b"b")
            self.assertRaises(MalformedHttp, parse_path, b"/a%%%02xb" % byte)
        for byte in range(0x80, 0x100):
            self.assertRaises(MalformedHttp, parse_path, b"/a" + bytes([byte]))
            self.assertRaises(MalformedHttp, parse_path, b"/a%%%02x" % byte)

    def test_malformed_escapes(self) -> None:
        """An escape has two hex digits, and escapes make valid UTF-8."""
        for path in (
            b"/%",
            b"/%4",
            b"/%4g",
            b"/%g4",
            b"/%%41",
            b"/%+1",
            b"/% 41",
            b"/%c3",
            b"/%c3/%a4",
            b"/%ed%a0%80",
            b"/%ff",
        ):
            self.assertRaises(MalformedHttp, parse_path, path)

    @bounded
    @given(RAW)
    def test_any_bytes(self, path: bytes) -> None:
        """Any bytes are refused with 400, or give segments that mean nothing to a file system but themselves."""
        try:
            segments = parse_path(b"/" + path)
        except MalformedHttp as error:
            self.assertEqual(error.status, 400)
            return
        self.assertNotIn("", segments[:-1])
        for segment in segments:
            self.assertNotIn(segment, (".", ".."))
            self.assertFalse(set(segment) & set("/\\\x7f") or any(character <= " " for character in segment))
            segment.encode("utf-8")

    @bounded
    @given(st.lists(st.text(SAFE + ENCODED, min_size=1, max_size=8), min_size=1, max_size=4), st.booleans())
    def test_round_trip(self, segments: list[str], eager: bool) -> None:
        """What is quoted is read back, whether no more than needed was quoted or everything that can be."""
        if {".", ".."} & set(segments):
            return
        path = "".join(f"/{quote(segment, safe='' if eager else SAFE)}" for segment in segments)

        self.assertEqual(parse_path(path.encode("ascii")), segments)


class QueryTests(SynchronousTestCase):
    """A query is parameters, split at `&` alone."""

    def test_one(self) -> None:
        """A parameter is found by its name; one that is not there is None, one without a value empty."""
        query = parse_query(b"digest=sha256:abc&n=&flag")

        self.assertEqual([query.one(name) for name in ("digest", "n", "flag", "x")], ["sha256:abc", "", "", None])

    def test_nothing(self) -> None:
        """An empty query has no parameters, and empty parts of one are none."""
        self.assertIsNone(parse_query(b"").one("a"))
        self.assertEqual(parse_query(b"&&a=1&").one("a"), "1")
        self.assertIsNone(parse_query(b"&&a=1&").one(""))

    def test_separators(self) -> None:
        """`;` separates nothing, `+` is no space, and only the first `=` divides."""
        query = parse_query(b"ns=a;b=c&v=1+2&w=a=b")

        self.assertEqual([query.one(name) for name in ("ns", "v", "w", "b")], ["a;b=c", "1+2", "a=b", None])

    def test_decoding(self) -> None:
        """Names and values are decoded once; a slash or a question mark may stand in them either way."""
        query = parse_query(b"from=a%2Fb&to=a/b&q=a?b&r=%3f&%6d%6fde=%253D&t=%26")

        found = [query.one(name) for name in ("from", "to", "q", "r", "mode", "t")]

        self.assertEqual(found, ["a/b", "a/b", "a?b", "?", "%3D", "&"])

    def test_repeated(self) -> None:
        """A parameter that decides something and is given twice is refused, also under two spellings of its name."""
        for raw in (b"digest=a&digest=b", b"digest=a&digest=a", b"digest=a&d%69gest=b", b"digest&digest"):
            query = parse_query(raw)
            self.assertRaises(InvalidRequest, query.one, "digest")
        self.assertEqual(parse_query(b"tag=a&x=1&tag=b").all("tag"), ["a", "b"])
        self.assertEqual(parse_query(b"").all("tag"), [])

    def test_numbers(self) -> None:
        """A number is ASCII digits, as many as any counter needs."""
        self.assertEqual(parse_query(b"n=0").number("n"), 0)
        self.assertEqual(parse_query(b"n=0100").number("n"), 100)
        self.assertEqual(parse_query(b"n=" + b"9" * 18).number("n"), 10**18 - 1)
        self.assertIsNone(parse_query(b"").number("n"))

    def test_not_numbers(self) -> None:
        """Everything else is refused, not guessed at."""
        values = [
            b"",
            b"-1",
            b"+1",
            b"1.0",
            b"1e3",
            b"0x1",
            b"1_0",
            b"ten",
            b"1;2",
            b"%D9%A1",
            b"%C2%B2",
            b"9" * 19,
            b"NaN",
        ]
        for value in values:
            query = parse_query(b"n=" + value)
            self.assertRaises(InvalidRequest, query.number, "n")
        self.assertRaises(InvalidRequest, parse_query(b"n=1&n=1").number, "n")

    def test_malformed(self) -> None:
        """Broken escapes, broken UTF-8, controls and raw bytes are refused in names as in values."""
        for piece in (
            b"%",
            b"%4",
            b"%zz",
            b"%c3",
            b"%00",
            b"%0d%0a",
            b"%20",
            b" ",
            b"\xe4",
            b"\x00",
            b"#",
            b"<",
            b'"',
            b"%5c",
        ):
            self.assertRaises(MalformedHttp, parse_query, b"a=" + piece)
            self.assertRaises(MalformedHttp, parse_query, piece + b"=a")

    def test_count(self) -> None:
        """So many parameters and no more."""
        self.assertEqual(len(parse_query(b"&".join([b"a=1"] * MAX_PARAMETERS)).all("a")), MAX_PARAMETERS)
        self.assertRaises(MalformedHttp, parse_query, b"&".join([b"a=1"] * (MAX_PARAMETERS + 1)))
        self.assertRaises(MalformedHttp, parse_query, b"&" * MAX_PARAMETERS)

    @bounded
    @given(RAW)
    def test_any_bytes(self, raw: bytes) -> None:
        """Any bytes are refused with 400, or are a query whose values have no control characters."""
        try:
            query = parse_query(raw)
        except MalformedHttp as error:
            self.assertEqual(error.status, 400)
            return
        for value in query.all("a") + query.all(""):
            self.assertFalse(any(character <= " " for character in value))

    @bounded
    @given(st.lists(st.tuples(st.text(SAFE + ENCODED + "/", min_size=1), st.text(SAFE + ENCODED + "/")), max_size=5))
    def test_round_trip(self, pairs: list[tuple[str, str]]) -> None:
        """What is quoted is read back: every value of a name, in order."""
        raw = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in pairs)

        query = parse_query(raw.encode("ascii"))

        for name, _ in pairs:
            self.assertEqual(query.all(name), [value for other, value in pairs if other == name])
