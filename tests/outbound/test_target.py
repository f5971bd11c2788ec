"""URLs that somebody else wrote: read strictly, and put together anew."""

from __future__ import annotations

from urllib.parse import urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import AddressRefused
from pkgd.outbound.settings import Trust
from pkgd.outbound.target import Target
from tests.properties import ANY_TEXT, bounded

PRIVATE = Trust(private_hosts=frozenset(["localhost:5000", "10.0.0.1", "cache.lan", "[::1]:5000", "docker.io:80"]))


class TargetTests(SynchronousTestCase):
    """`Target.parse`."""

    def refused(self, url: str, trust: Trust = PRIVATE) -> str:
        """The message with which a URL is refused."""
        return self.assertRaises(AddressRefused, Target.parse, url, trust).message

    def test_parts(self) -> None:
        """A URL has a scheme, a host, a port and a path with its query."""
        found = Target.parse("https://quay.io/v2/a/b?c=d&e", Trust())

        self.assertEqual(found, Target("https", "quay.io", 443, "/v2/a/b?c=d&e", False))
        self.assertEqual(Target.parse("HTTP://Quay.IO.:8080", Trust()), Target("http", "quay.io", 8080, "/", False))

    def test_secure(self) -> None:
        """https is asked over TLS, http is not."""
        self.assertTrue(Target.parse("HTTPS://quay.io/", Trust()).secure)
        self.assertFalse(Target.parse("http://quay.io/", Trust()).secure)

    def test_ports(self) -> None:
        """The scheme's own port need not be written, and is not shown."""
        found = [
            Target.parse(url, Trust()) for url in ["https://a.io", "https://a.io:443", "http://a.io", "http://a.io:80"]
        ]
        self.assertEqual([(one.port, one.name) for one in found], [(443, "a.io")] * 2 + [(80, "a.io")] * 2)

        crossed = [Target.parse(url, Trust()) for url in ["http://a.io:443", "https://a.io:80"]]
        self.assertEqual([(one.port, one.name) for one in crossed], [(443, "a.io:443"), (80, "a.io:80")])

    def test_path_as_written(self) -> None:
        """Path and query are kept to the letter, for they may be signed; a fragment is dropped."""
        for path in [
            "/a%2Fb/%7e;x=1;y",
            "/?",
            '/a?b=%2f+%20&c=d|e{f}^`"<>[]',
            "//a//",
            "/.././a",
            "/a?b?c/../d",
            "/@b:c",
        ]:
            self.assertEqual(Target.parse(f"https://a.io{path}", Trust()).path, path)

        self.assertEqual(Target.parse("https://a.io/b#c?d", Trust()).path, "/b")
        self.assertEqual(Target.parse("https://a.io#c", Trust()).path, "/")
        self.assertEqual(Target.parse("https://a.io?b=c", Trust()).path, "/?b=c")

    def test_aliases_are_no_places(self) -> None:
        """Docker Hub's registry is asked under its own name."""
        self.assertEqual(Target.parse("https://registry-1.docker.io/", Trust()).host, "registry-1.docker.io")

    def test_private(self) -> None:
        """What is listed as private may be asked: one port of it, or all."""
        for url, name in [
            ("http://localhost:5000/a", "localhost:5000"),
            ("http://10.0.0.1/", "10.0.0.1"),
            ("https://10.0.0.1:5000/", "10.0.0.1:5000"),
            ("https://Cache.LAN/", "cache.lan"),
            ("http://[::1]:5000/", "[::1]:5000"),
        ]:
            target = Target.parse(url, PRIVATE)
            self.assertEqual((target.name, target.exempt), (name, True))

    def test_not_public(self) -> None:
        """A name that is not public is refused unless it is listed, and so is another port of it."""
        for url in ["http://localhost/", "http://localhost:5001/", "https://registry/", "https://a.internal/"]:
            self.assertIn("may not be asked: it has no public name", self.refused(url))
        self.assertIn("localhost:5000 may not", self.refused("http://localhost:5000/", Trust()))

    def test_literals(self) -> None:
        """An address is refused unless it is listed, and not repeated."""
        for url in ["http://10.0.0.2/", "https://8.8.8.8:5000/", "http://[::1]/", "https://[2606:4700::1111]/"]:
            self.assertEqual(self.refused(url), "the upstream without a name may not be asked by its address")

    def test_malformed(self) -> None:
        """What is no http or https URL with a plain host is refused."""
        for url in [
            *["", "/", "//quay.io/", "quay.io", "https:", "https:/quay.io/", "https:quay.io", "https://", "https:///a"],
            *[
                "ftp://quay.io/",
                "file:///etc/passwd",
                "unix:///a",
                "gopher://quay.io/",
                "javascript:alert(1)",
                "wss://a.io/",
            ],
            *["https://user@quay.io/", "https://user:pw@quay.io/", "https://@quay.io/", "https://quay.io@10.0.0.1/"],
            *[
                "https://quay.io:/",
                "https://quay.io:0/",
                "https://quay.io:65536/",
                "https://quay.io:a/",
                "https://quay.io:1:2",
            ],
            *["https://[::1", "https://::1/", "https://[::1%25lo]:5000/", "https://[::1]x/", "https://[::1]:99999/"],
            *["https://[:::1]:5000/", "https://[g::]/", "https://[10.0.0.1]/", "https://[]/", "https://[quay.io]/"],
            *["https://quay.io\\@10.0.0.1/", "https://quay.io/\\a", "https:\\\\quay.io\\", "\\\\quay.io\\a"],
            *[
                "https://quay.io/a b",
                " https://quay.io/",
                "https://quay.io/\r\nHost: b",
                "https://quay.io/\0",
                "https://a.io/\t",
            ],
            *[
                "https://quay.io/ä",
                "https://qüay.io/",
                "https://quay.io/\x7f",
                "https://quay%2eio/",
                "https://quay.io/\u2028",
            ],
            *["http://127.1/", "http://2130706433/", "http://0x7f.1/", "http://017700000001/", "http://a.1/"],
        ]:
            self.assertIn("the upstream without a name", self.refused(url), url)

    @bounded
    @given(ANY_TEXT | st.text("htps:/[]@.a10#?\\", max_size=30))
    def test_any_text(self, text: str) -> None:
        """Any text is refused, or a URL of which everybody takes the same to be the host."""
        try:
            target = Target.parse(text, Trust())
        except AddressRefused:
            return
        self.assertEqual((urlsplit(text).hostname or "").removesuffix("."), target.host)
        self.assertTrue(target.path.startswith("/") and target.path.isascii() and target.path.isprintable())
