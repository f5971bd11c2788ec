"""Request heads: what is a request, and what is refused with which status."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import MalformedHttp
from pkgd.web.head import MAX_HEADERS, MAX_TARGET, METHODS, Head, find_head, parse_head
from tests.properties import bounded

LIMIT = 64 * 1024


def head(*lines: bytes, first: bytes = b"GET /v2/ HTTP/1.1", host: bytes | None = b"localhost") -> bytes:
    """The bytes of a head with these header lines."""
    hosts = [] if host is None else [b"Host: " + host]
    return b"\r\n".join([first, *hosts, *lines, b"", b""])


class HeadCase(SynchronousTestCase):
    """Assertions about one head."""

    def assert_refused(self, data: bytes, status: int = 400) -> None:
        """The head is refused with this status."""
        error = self.assertRaises(MalformedHttp, parse_head, data)
        self.assertEqual((error.status, bool(error.message)), (status, True), data[:200])


class RequestLineTests(HeadCase):
    """The request line: three parts, one space between them."""

    def test_parts(self) -> None:
        """Method, target and version are read as they stand, and the line is kept for the log."""
        found = parse_head(head(first=b"PUT /v2/a%2Db?x=%20&y HTTP/1.1"))

        self.assertEqual((found.method, found.target, found.version), (b"PUT", b"/v2/a%2Db?x=%20&y", b"HTTP/1.1"))
        self.assertEqual(found.line, b"PUT /v2/a%2Db?x=%20&y HTTP/1.1")

    def test_methods(self) -> None:
        """Every method in use is taken; one that is none of them is refused as such."""
        for method in METHODS:
            self.assertEqual(parse_head(head(first=method + b" / HTTP/1.1")).method, method)
        for method in (b"get", b"TRACE", b"CONNECT", b"PROPFIND", b"BREW", b"X" * 1000):
            self.assert_refused(head(first=method + b" / HTTP/1.1"), 405)

    def test_malformed(self) -> None:
        """Missing or surplus parts, other spaces and characters that no token has are refused."""
        lines = [b"", b"GET", b"GET /", b"GET  / HTTP/1.1", b" GET / HTTP/1.1", b"GET / HTTP/1.1 ", b"GET\t/\tHTTP/1.1"]
        lines += [b"GET /a b HTTP/1.1", b"GE(T / HTTP/1.1", b"G\xc9T / HTTP/1.1", b"GET / HTTP/1.1 x", b"GET  HTTP/1.1"]
        for line in lines:
            self.assert_refused(head(first=line))

    def test_versions(self) -> None:
        """HTTP/1.1 and 1.0 are spoken; others, and what looks like one, are refused."""
        self.assertEqual(parse_head(head(first=b"GET / HTTP/1.0")).version, b"HTTP/1.0")
        for version in (
            b"HTTP/0.9",
            b"HTTP/1.2",
            b"HTTP/2.0",
            b"HTTP/2",
            b"http/1.1",
            b"HTTP/1.1x",
            b"HTTPS/1.1",
            b"HTTP/01.1",
        ):
            self.assert_refused(head(first=b"GET / " + version))

    def test_http2_preface(self) -> None:
        """A client that speaks HTTP/2 without asking is refused."""
        self.assert_refused(b"PRI * HTTP/2.0\r\n\r\n")

    def test_long_target(self) -> None:
        """A target has at most 8 KiB."""
        fits = b"/" + b"a" * (MAX_TARGET - 1)

        self.assertEqual(parse_head(head(first=b"GET " + fits + b" HTTP/1.1")).target, fits)
        self.assert_refused(head(first=b"GET " + fits + b"a HTTP/1.1"), 414)


class TargetFormTests(HeadCase):
    """The forms of a target (RFC 9112, 3.2)."""

    def test_absolute(self) -> None:
        """The absolute form is turned into the origin form, and its authority takes the place of Host."""
        forms = {
            b"http://example.com/v2/?n=1": (b"/v2/?n=1", b"example.com"),
            b"HTTPS://example.com:8443/a": (b"/a", b"example.com:8443"),
            b"http://example.com": (b"/", b"example.com"),
            b"http://example.com?n=1": (b"/?n=1", b"example.com"),
            b"http://[::1]:5000/v2/": (b"/v2/", b"[::1]:5000"),
        }
        for target, (origin, host) in forms.items():
            found = parse_head(head(first=b"GET " + target + b" HTTP/1.1"))
            self.assertEqual((found.target, found.headers[b"host"]), (origin, host))

    def test_absolute_needs_host(self) -> None:
        """Also a request in absolute form must have a Host (RFC 9112, 3.2), and a valid one."""
        line = b"GET http://example.com/ HTTP/1.1"

        self.assert_refused(head(first=line, host=None))
        self.assert_refused(head(first=line, host=b"a b"))

    def test_malformed_absolute(self) -> None:
        """Another scheme, userinfo, or an authority that is none is refused."""
        targets = [b"ftp://example.com/", b"http:///v2/", b"http:/v2/", b"http://u:p@example.com/", b"example.com/v2/"]
        for target in [*targets, b"example.com:443", b"http://a%20b/", b"http://a#b/", b"://a/", b"v2/", b"?n=1", b"#"]:
            self.assert_refused(head(first=b"GET " + target + b" HTTP/1.1"))

    def test_asterisk(self) -> None:
        """`*` is a target of OPTIONS only."""
        self.assertEqual(parse_head(head(first=b"OPTIONS * HTTP/1.1")).target, b"*")
        self.assert_refused(head(first=b"GET * HTTP/1.1"))


class HeaderTests(HeadCase):
    """Header lines: name, colon, value."""

    def test_values(self) -> None:
        """Names are compared without case; white space around a value is not part of it."""
        found = parse_head(head(b"X-One:a", b"x-TWO: \t b c \t", b"X-Three:", b"X-Four: \xe4\xff"))

        self.assertEqual(
            [found.headers[name] for name in (b"x-one", b"x-two", b"x-three", b"x-four")],
            [b"a", b"b c", b"", b"\xe4\xff"],
        )

    def test_lists(self) -> None:
        """A header that may be repeated is joined in order, as c/image sends six Accept headers."""
        found = parse_head(head(b"Accept: a", b"ACCEPT: b, c", b"accept: d"))

        self.assertEqual(found.headers[b"accept"], b"a, b, c, d")

    def test_singles(self) -> None:
        """A header with one meaning must come once: a second one could be meant for another reader."""
        names = [
            b"Content-Length",
            b"Authorization",
            b"Content-Type",
            b"Content-Range",
            b"Range",
            b"Expect",
            b"If-Range",
        ]
        for name in [*names, b"User-Agent", b"Referer", b"X-Registry-Host", b"If-Modified-Since"]:
            self.assertEqual(parse_head(head(name + b": 1")).headers[name.lower()], b"1")
            self.assert_refused(head(name + b": 1", name.lower() + b": 1"))
        self.assert_refused(head(b"host: localhost"))
        self.assert_refused(head(b"Transfer-Encoding: chunked", b"Transfer-Encoding: chunked"))

    def test_malformed(self) -> None:
        """White space before the colon, folding, missing names and odd characters are refused."""
        lines = [
            b"X",
            b": x",
            b"X : x",
            b"X\t: x",
            b" X: x",
            b"\tX: x",
            b"X: a\r\n b",
            b"X Y: x",
            b"X(: x",
            b"\xe9: x",
            b"@: x",
        ]
        for line in lines:
            self.assert_refused(head(line))

    def test_controls(self) -> None:
        """Control characters are refused wherever they stand; only a tab may be within a value."""
        for byte in [*range(0x09), 0x0B, 0x0C, *range(0x0E, 0x20), 0x7F]:
            self.assert_refused(head(b"X: a" + bytes([byte]) + b"b"))
            self.assert_refused(head(first=b"GET /" + bytes([byte]) + b" HTTP/1.1"))
        self.assertEqual(parse_head(head(b"X: a\tb")).headers[b"x"], b"a\tb")

    def test_bare_line_ends(self) -> None:
        """A CR or LF that is not part of a CRLF is refused: other parsers take it for a line end."""
        for line in (
            b"X: a\nY: b",
            b"X: a\rY: b",
            b"X: a\n",
            b"X: a\r",
            b"\nX: a",
            b"X: a\r\r\nY: b",
            b"X: a\n\r\nY: b\r",
        ):
            self.assert_refused(head(line))
        self.assert_refused(head(first=b"GET / HTTP/1.1\nX: y"))

    def test_count(self) -> None:
        """So many headers and no more."""
        lines = [b"X-%d: y" % number for number in range(MAX_HEADERS)]

        self.assertEqual(len(parse_head(head(*lines[1:])).headers), MAX_HEADERS)
        self.assert_refused(head(*lines), 431)


class HostTests(HeadCase):
    """Exactly one valid Host, for HTTP/1.1 (RFC 9112, 3.2)."""

    def test_hosts(self) -> None:
        """Names, addresses and ports as clients send them."""
        hosts = [
            b"localhost",
            b"localhost:5000",
            b"a.b-c.example.",
            b"127.0.0.1:80",
            b"[::1]",
            b"[2001:db8::1]:443",
            b"a_b",
        ]
        for host in [*hosts, b"EXAMPLE.com", b"xn--bcher-kva.example", b"a" * 63 + b".b"]:
            self.assertEqual(parse_head(head(host=host)).headers[b"host"], host)

    def test_not_hosts(self) -> None:
        """What is no host is refused, before any library sees it."""
        hosts = [
            b"",
            b" ",
            b".",
            b"a..b",
            b"-a",
            b"a-.b",
            b"a" * 64,
            b"a b",
            b"a/b",
            b"a?b",
            b"u@a",
            b"a:b",
            b"a:",
            b"a:123456",
        ]
        for host in [
            *hosts,
            b"::1",
            b"[::1",
            b"[::1]x",
            b"[g::]",
            b"\xe4.example",
            b"a,b",
            b"a%00",
            b"a.b" * 200,
            b"<a>",
            b"a\\b",
        ]:
            self.assert_refused(head(host=host))

    def test_missing(self) -> None:
        """HTTP/1.1 needs a Host, HTTP/1.0 does not; but if it has one, it is valid."""
        self.assert_refused(head(host=None))
        self.assertEqual(parse_head(head(first=b"GET / HTTP/1.0", host=None)).headers, {})
        self.assert_refused(head(first=b"GET / HTTP/1.0", host=b"a b"))


class FramingTests(HeadCase):
    """How long a body is (RFC 9112, 6.3): where parsers differ, requests are smuggled."""

    def test_lengths(self) -> None:
        """A Content-Length counts; without one there is no body; chunked has no length yet."""
        self.assertEqual(parse_head(head()).length, 0)
        self.assertEqual(parse_head(head(b"Content-Length: 0")).length, 0)
        self.assertEqual(parse_head(head(b"Content-Length: 00012")).length, 12)
        self.assertEqual(parse_head(head(b"Content-Length: " + b"9" * 19)).length, 10**19 - 1)
        self.assertIsNone(parse_head(head(b"Transfer-Encoding: Chunked")).length)

    def test_malformed_length(self) -> None:
        """A Content-Length is digits and nothing else."""
        values = [
            b"",
            b"+5",
            b"-5",
            b"5,5",
            b"5, 5",
            b"0x5",
            b"5 5",
            b"5;",
            b"five",
            b"1_0",
            b"5.0",
            b"\xb2",
            b"9" * 20,
        ]
        for value in values:
            self.assert_refused(head(b"Content-Length: " + value))

    def test_transfer_codings(self) -> None:
        """A single `chunked` is the only transfer coding."""
        values = [
            b"",
            b"identity",
            b"gzip",
            b"gzip, chunked",
            b"chunked, chunked",
            b"chunked,",
            b",chunked",
            b"xchunked",
        ]
        for value in [*values, b"chunked;q=1", b'"chunked"', b"chun ked", b"chunked identity", b"chunk\xe9d"]:
            self.assert_refused(head(b"Transfer-Encoding: " + value))

    def test_both(self) -> None:
        """A length and a coding together are refused, as is any coding in HTTP/1.0."""
        self.assert_refused(head(b"Content-Length: 5", b"Transfer-Encoding: chunked"))
        self.assert_refused(head(b"Transfer-Encoding: chunked", b"Content-Length: 0"))
        self.assert_refused(head(b"Transfer-Encoding: chunked", first=b"PUT / HTTP/1.0"))


class PersistenceTests(HeadCase):
    """Whether the connection may carry another request, and who waits for 100 Continue."""

    def test_persistent(self) -> None:
        """HTTP/1.1 persists unless `close` is among the connection options, in any case."""
        self.assertTrue(parse_head(head()).persistent)
        self.assertTrue(parse_head(head(b"Connection: keep-alive, x-closer")).persistent)
        for value in (b"close", b"Close", b"keep-alive, CLOSE", b"a ,close\t, b"):
            self.assertFalse(parse_head(head(b"Connection: " + value)).persistent)

    def test_http_1_0(self) -> None:
        """HTTP/1.0 never persists here."""
        self.assertFalse(parse_head(head(b"Connection: keep-alive", first=b"GET / HTTP/1.0")).persistent)

    def test_expectation(self) -> None:
        """100-continue counts in any case, in HTTP/1.1 only; other expectations are none."""
        self.assertTrue(parse_head(head(b"Expect: 100-Continue")).expects_continue)
        self.assertFalse(parse_head(head(b"Expect: 100-continue", first=b"PUT / HTTP/1.0")).expects_continue)
        self.assertFalse(parse_head(head(b"Expect: 200-ok")).expects_continue)
        self.assertFalse(parse_head(head()).expects_continue)


class FindHeadTests(SynchronousTestCase):
    """`find_head` knows where a head ends, and when none can come any more."""

    def test_whole(self) -> None:
        """The offset is behind the empty line, whatever follows."""
        self.assertEqual(find_head(head() + b"body\r\n\r\n", LIMIT), len(head()))

    def test_incomplete(self) -> None:
        """Each proper beginning of a head is one that is not complete."""
        data = head(b"X: y")

        self.assertEqual({find_head(data[:end], LIMIT) for end in range(len(data))}, {-1})

    def test_too_long(self) -> None:
        """A head of exactly the limit fits; a longer one, complete or not, is refused with 431."""
        data = head(b"X: " + b"y" * 1000)

        self.assertEqual(find_head(data, len(data)), len(data))
        for longer in (data, b"GET / HTTP/1.1\r\n" + b"y" * len(data)):
            error = self.assertRaises(MalformedHttp, find_head, longer, len(data) - 1)
            self.assertEqual(error.status, 431)

    def test_endless_line(self) -> None:
        """A request line that does not end is refused as a long target, well before the head's limit."""
        error = self.assertRaises(MalformedHttp, find_head, b"GET /" + b"a" * (MAX_TARGET + 100), LIMIT)

        self.assertEqual(error.status, 414)

    def test_longest_target(self) -> None:
        """The longest target is waited for, under the longest method."""
        line = b"OPTIONS /" + b"a" * (MAX_TARGET - 1) + b" HTTP/1.1\r\n"

        self.assertEqual({find_head(line[:end], LIMIT) for end in (len(line) - 2, len(line) - 1, len(line))}, {-1})

    def test_bare_lines(self) -> None:
        """Lines that end with LF alone are refused at once: no CRLF will ever end that head as meant."""
        error = self.assertRaises(MalformedHttp, find_head, b"GET / HTTP/1.1\nHost: a\n\n", LIMIT)

        self.assertEqual(error.status, 400)


TOKENS = st.sampled_from(
    [
        b"GET",
        b"PUT",
        b" ",
        b"/",
        b"/v2/",
        b"HTTP/1.1",
        b"HTTP/1.0",
        b"\r\n",
        b"\r",
        b"\n",
        b":",
        b",",
        b"\t",
        b"\0",
        b"Host",
        b"a",
    ]
    + [
        b"Content-Length",
        b"Transfer-Encoding",
        b"chunked",
        b"5",
        b"http://",
        b"[::1]",
        b"X",
        b"\xff",
        b"Connection",
        b"close",
    ]
)
LINES = st.lists(TOKENS, max_size=12).map(b"".join)
HEADS = st.binary(max_size=300) | LINES | st.lists(LINES, max_size=4).map(lambda lines: head(*lines))
NAMES = st.text("abcXYZ-_0!", min_size=1, max_size=10).filter(lambda name: name.lower() != "host")
VALUES = st.text("".join(map(chr, [*range(0x21, 0x7F), 0x20, 0x09, 0xE9])), max_size=20).map(
    lambda text: text.strip(" \t")
)


class HostileBytesTests(SynchronousTestCase):
    """Any bytes are a head or refused as MalformedHttp."""

    def check(self, found: Head) -> None:
        """What is accepted has no character that could end a line, and one meaning."""
        self.assertIn(found.method, METHODS)
        self.assertTrue(found.target.startswith(b"/") or found.target == b"*")
        for name, value in found.headers.items():
            self.assertEqual((name, set(name + value) & set(b"\r\n\0")), (name.lower(), set()))
        self.assertEqual(found.length is None, b"transfer-encoding" in found.headers)

    @bounded
    @given(HEADS)
    def test_any_bytes(self, data: bytes) -> None:
        """Whatever is given to `parse_head`, it answers with a head or a refusal of 4xx."""
        try:
            found = parse_head(data)
        except MalformedHttp as error:
            self.assertIn(error.status, (400, 405, 414, 431))
        else:
            self.check(found)

    @bounded
    @given(HEADS, st.integers(1, 400))
    def test_any_stream(self, data: bytes, limit: int) -> None:
        """Whatever has arrived, `find_head` waits, refuses, or gives the end of the first empty line."""
        try:
            end = find_head(data, limit)
        except MalformedHttp as error:
            self.assertIn(error.status, (400, 414, 431))
        else:
            self.assertEqual(end, -1 if b"\r\n\r\n" not in data else data.index(b"\r\n\r\n") + 4)
            self.assertLessEqual(end, limit)

    @bounded
    @given(st.dictionaries(NAMES, VALUES, max_size=6))
    def test_any_headers(self, headers: dict[str, str]) -> None:
        """What is written as a header is read as that header."""
        lower = {name.lower(): value for name, value in headers.items()}
        lines = [f"{name}: {value}".encode("latin-1") for name, value in lower.items()]

        found = {name.decode(): value.decode("latin-1") for name, value in parse_head(head(*lines)).headers.items()}

        self.assertEqual(found, lower | {"host": "localhost"})

    @bounded
    @given(st.integers(0, 80), st.binary(min_size=1, max_size=3))
    def test_any_insertion(self, at: int, inserted: bytes) -> None:
        """A good head with bytes inserted is still one head: it ends where its first empty line ends."""
        data = head(b"Content-Length: 5", b"X: y")
        data = data[:at] + inserted + data[at:]

        try:
            end = find_head(data, LIMIT)
            self.check(parse_head(data[:end]))
        except MalformedHttp:
            pass
