"""Hosts of registries: the grammar of what anybody may name, and of what the configuration may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import InvalidHost
from pkgd.formats.hosts import (
    configured_authority,
    is_literal,
    parse_configured_host,
    parse_host,
    public_authority,
    registrable_domain,
)
from tests.properties import ANY_TEXT, bounded

# Malformed in any context.
MALFORMED = (
    ["", ".", "..", ":", ":443", "docker.io:", "docker.io:0", "docker.io:00443", "docker.io:0443", "docker.io:65536"]
    + ["docker.io:99999", "docker.io:100000", "docker.io:+1", "docker.io:-1", "docker.io: 1", "docker.io:1 "]
    + ["docker.io:1:2", "docker.io:١", "docker.io:https", "docker..io", ".docker.io", "docker.io..", "docker.io..:5"]
    + ["-docker.io", "docker-.io", "docker.-io", "docker.io-", "dock_er.io", "docker.i_o", "*.docker.io"]
    + ["user@docker.io", "user:pw@docker.io", "@docker.io", "docker.io@", "docker.io/", "docker.io/library"]
    + [
        "docker.io?",
        "docker.io?x",
        "docker.io#",
        "docker.io#x",
        "docker.io%2e",
        "%64ocker.io",
        "docker.io\\",
        "a\\b.io",
    ]
    + ["http://docker.io", "//docker.io", " docker.io", "docker.io ", "docker .io", "docker.io\n", "docker.io\r\n"]
    + ["docker.io\t", "docker.io\0", "\0docker.io", "docker.io\x7f", "docker.io\x85", "docker.io\xa0"]
    + [
        "döcker.io",
        "docker.iö",
        "ｄocker.io",
        "docker．io",
        "docker。io",
        "docker｡io",
        "docker.io\u200b",
        "doc\xadker.io",
    ]
    + ["\u212adocker.io", "docker\u212a.io", "docker.ıo", "ﬀ.io", "①.io", "[::1]", "[::1]:5000", "::1", "fe80::1%eth0"]
    + ["a" * 64 + ".io", "a." * 126 + "io", "docker.io,quay.io", "docker.io;quay.io", "(docker.io)", "'docker.io'"]
    + ["xn--.io", "docker.xn--", "docker.io\u2028", "\ufeffdocker.io", "\ud800.io"]
)

# Not what anybody may name, but the configuration.
PRIVATE = (
    ["localhost", "localhost:5000", "registry", "registry:5000", "cache-01", "a", "10.0.0.1", "127.0.0.1:5000"]
    + ["8.8.8.8", "0.0.0.0", "255.255.255.255", "cache.rack2", "registry.7b"]
    + ["registry.localhost", "registry.local", "registry.internal", "registry.home.arpa", "registry.onion", "a.alt"]
    + ["registry.test", "registry.invalid", "registry.example", "1.0.0.127.in-addr.arpa", "registry.lan", "a.corp"]
    + ["registry.home", "registry.mail", "registry.intranet", "registry.private", "registry.localdomain"]
    + ["registry.svc.cluster.local:5000", "metadata.google.internal", "registry.local.:5000"]
)

# Addresses to a resolver, in notations of which nobody can say at a glance which address they are.
DISGUISED = (
    ["127.1", "127.0.1", "2130706433", "017700000001", "0x7f000001", "0x7f.1", "0x7F.0.0.1", "0177.0.0.1", "0", "0x0"]
    + ["127.0.0.01", "127.0.0.0x1", "127.0.0.1.1", "256.0.0.1", "1.2.3", "1.2.3.256", "4294967296", "0x"]
    + ["00.0.0.0", "127.000.000.001", "a.1", "a.0x1", "example.com.1", "1e3.0x", "registry.1:5000"]
)


class ParseHostTests(SynchronousTestCase):
    """What anybody may name as an upstream."""

    def assert_form(self, canonical: str, *spellings: str) -> None:
        """All spellings stand for one host, itself among them."""
        for text in (canonical, *spellings):
            self.assertEqual(parse_host(text), canonical, text)

    def test_canonical(self) -> None:
        """Case, one trailing dot and the port of https make no difference."""
        self.assert_form("quay.io", "Quay.IO", "quay.io.", "quay.io:443", "QUAY.IO.:443")
        self.assert_form("quay.io:5000", "Quay.io:5000", "quay.io.:5000")
        self.assert_form("quay.io:80")
        self.assert_form("a-b.c--d.e1.io", "A-B.C--D.E1.io")
        self.assert_form("1.2.3.4.com")
        self.assert_form("xn--bcher-kva.example.com", "XN--BCHER-KVA.example.com")
        self.assert_form("registry.xn--p1ai")
        self.assert_form("registry.example.com:65535")
        self.assert_form("localhost.com")
        self.assert_form("test.io")

    def test_aliases(self) -> None:
        """Docker Hub's other names are its one."""
        self.assert_form("docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com")
        self.assert_form("docker.io", "Registry-1.Docker.io.:443")
        self.assert_form("auth.docker.io")
        self.assert_form("registry-1.docker.io:80")

    def test_limits(self) -> None:
        """Labels of 63 and names of 253 characters are the longest."""
        label = "a" * 63
        self.assert_form(f"{label}.io")
        longest = ".".join([label, label, label, "a" * 58, "io"])

        self.assertEqual((len(longest), parse_host(f"{longest}.:5000")), (253, f"{longest}:5000"))
        self.assertRaises(InvalidHost, parse_host, ".".join([label, label, label, "a" * 59, "io"]))

    def test_refused(self) -> None:
        """What is malformed, private, reserved or an address is no host that anybody may name."""
        for text in [*MALFORMED, *PRIVATE, *DISGUISED]:
            self.assertRaises(InvalidHost, parse_host, text)
            self.assertRaises(InvalidHost, public_authority, text)

    def test_reason(self) -> None:
        """The error says what is wrong, for whoever has written it."""
        error = self.assertRaises(InvalidHost, parse_host, "registry.internal")

        self.assertIn("'registry.internal': it is a name for special use", error.message)

    @bounded
    @given(ANY_TEXT | st.text("abz019.-:_x", max_size=20))
    def test_any_text(self, text: str) -> None:
        """Any text is refused, or has a canonical form that is its own, and that the configuration may write, too."""
        try:
            host = parse_host(text)
        except InvalidHost:
            return
        self.assertEqual(parse_host(host), host)
        self.assertEqual(parse_configured_host(text), host)
        self.assertTrue(host.isascii() and host == host.lower() and "." in host and not is_literal(host))


class ParseConfiguredHostTests(SynchronousTestCase):
    """What the configuration may name: private hosts, too."""

    def test_private(self) -> None:
        """One label, IPv4 addresses and names for special use are taken as they are."""
        for text in PRIVATE:
            self.assertEqual(parse_configured_host(text), text.replace(".:", ":"), text)

    def test_canonical(self) -> None:
        """The canonical form is that of all hosts, aliases included."""
        self.assertEqual(parse_configured_host("Registry:443"), "registry")
        self.assertEqual(parse_configured_host("127.0.0.1.:5000"), "127.0.0.1:5000")
        self.assertEqual(parse_configured_host("index.docker.io"), "docker.io")

    def test_refused(self) -> None:
        """What is malformed stays so, and an address has one notation only."""
        for text in [*MALFORMED, *DISGUISED]:
            self.assertRaises(InvalidHost, parse_configured_host, text)

    @bounded
    @given(ANY_TEXT | st.text("abz019.-:_x", max_size=20))
    def test_any_text(self, text: str) -> None:
        """Any text is refused, or has a canonical form that is its own."""
        try:
            host = parse_configured_host(text)
        except InvalidHost:
            return
        self.assertEqual(parse_configured_host(host), host)


class AuthorityTests(SynchronousTestCase):
    """The hosts of URLs, which are where they are."""

    def test_no_aliases(self) -> None:
        """An alias is not replaced: Docker Hub's registry does not answer under Docker Hub's name."""
        self.assertEqual(public_authority("Registry-1.docker.io"), "registry-1.docker.io")
        self.assertEqual(configured_authority("Registry-1.docker.io:443"), "registry-1.docker.io")

    def test_literal(self) -> None:
        """Only an IPv4 address in its usual notation is one."""
        self.assertEqual(
            [is_literal(name) for name in ["127.0.0.1", "127.1", "a.b", "127.0.0.1:80"]], [True] + [False] * 3
        )


class RegistrableDomainTests(SynchronousTestCase):
    """Who owns a host, as far as a rule of thumb can tell."""

    def assert_domain(self, domain: str, *hosts: str) -> None:
        """All hosts have this domain."""
        for host in hosts:
            self.assertEqual(registrable_domain(host), domain, host)

    def test_two_labels(self) -> None:
        """Usually it is the last two labels; the port does not matter."""
        self.assert_domain("docker.io", "docker.io", "auth.docker.io", "registry-1.docker.io:5000", "a.b.docker.io")
        self.assert_domain("gitlab.com", "registry.gitlab.com", "gitlab.com")

    def test_countries(self) -> None:
        """Below a country's generic label it is three; a country's own registrants have two."""
        self.assert_domain("example.co.uk", "registry.example.co.uk", "example.co.uk")
        self.assert_domain("example.com.br", "auth.example.com.br")
        self.assert_domain("example.gob.mx", "a.b.example.gob.mx")
        self.assert_domain("example.de", "auth.example.de")
        self.assert_domain("co.uk", "co.uk")

    def test_shared(self) -> None:
        """Who shares a provider's domain does not share an owner."""
        self.assert_domain("team.azurecr.io", "team.azurecr.io", "x.team.azurecr.io")
        self.assert_domain("cn-hangzhou.aliyuncs.com", "registry.cn-hangzhou.aliyuncs.com")
        self.assertNotEqual(registrable_domain("a.github.io"), registrable_domain("b.github.io"))

    def test_shared_deeply(self) -> None:
        """Where each service of a provider shares in its own way, only the same host is the same owner."""
        registry = "1234.dkr.ecr.us-east-1.amazonaws.com"
        self.assert_domain(registry, registry, f"{registry}:5000")
        self.assertNotEqual(registrable_domain("bucket.s3.us-east-1.amazonaws.com"), registrable_domain(registry))

    def test_none(self) -> None:
        """Addresses and single labels have none."""
        for host in ["localhost", "localhost:5000", "127.0.0.1", "127.0.0.1:5000", "10.0.0.1"]:
            self.assertIsNone(registrable_domain(host), host)
