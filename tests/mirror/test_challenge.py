"""`WWW-Authenticate`, as it stands in RFC 9110 and as registries send it, well-formed or not."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from pkgd.mirror.challenge import MAX_LENGTH, Challenge, _parse, parse_challenges
from tests.properties import ANY_TEXT, bounded

# What takes a parser from one state to another.
PIECES = [
    "a",
    "a=",
    'a="',
    '"',
    "\\",
    '\\"',
    " ",
    "\t",
    ",",
    "=",
    "==",
    'x="y"',
    "a=b",
    "Basic ",
    "/",
    "\x00",
    "\xff",
    "é",
]


def bearer(**parameters: str) -> Challenge:
    """A challenge for a token."""
    return Challenge("bearer", parameters)


class ParseTests(SynchronousTestCase):
    """`parse_challenges`: schemes and parameter names in lower case, values as they stand."""

    def assert_parsed(self, header: str, *expected: Challenge) -> None:
        """One header has these challenges."""
        self.assertEqual(parse_challenges([header]), list(expected), header)

    def test_rfc_example(self) -> None:
        """RFC 9110, 11.6.1: two challenges in one header; each parameter belongs to the scheme before it."""
        self.assert_parsed(
            r'Basic realm="simple", Newauth realm="apps", type=1, title="Login to \"apps\""',
            Challenge("basic", {"realm": "simple"}),
            Challenge("newauth", {"realm": "apps", "type": "1", "title": 'Login to "apps"'}),
        )

    def test_rfc_bearer_example(self) -> None:
        """RFC 6750, 3: an error and its description are parameters like others."""
        self.assert_parsed(
            'Bearer realm="example", error="invalid_token", error_description="The access token expired"',
            bearer(realm="example", error="invalid_token", error_description="The access token expired"),
        )

    def test_registries(self) -> None:
        """What the large registries send."""
        self.assert_parsed(
            'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/a:pull"',
            bearer(
                realm="https://auth.docker.io/token", service="registry.docker.io", scope="repository:library/a:pull"
            ),
        )
        self.assert_parsed(
            'Bearer realm="https://quay.io/v2/auth",service="quay.io"',
            bearer(realm="https://quay.io/v2/auth", service="quay.io"),
        )
        self.assert_parsed('Basic realm="Sonatype Nexus"', Challenge("basic", {"realm": "Sonatype Nexus"}))

    def test_commas_and_spaces_in_quotes(self) -> None:
        """A scope has both: neither ends the value."""
        scope = "repository:a/b:pull,push registry:catalog:*"

        self.assert_parsed(f'Bearer scope="{scope}",realm="r"', bearer(scope=scope, realm="r"))

    def test_equals_sign_in_quotes(self) -> None:
        """A realm may have a query of its own, and look like a challenge."""
        realm = "https://a.io/t?a=b, Basic realm=c"

        self.assert_parsed(f'Bearer realm="{realm}"', bearer(realm=realm))

    def test_escapes(self) -> None:
        """A backslash in quotes stands for what follows it (RFC 9110, 5.6.4)."""
        self.assert_parsed(r'Bearer realm="a\"b\\c\d\,", service="s"', bearer(realm='a"b\\cd,', service="s"))
        self.assert_parsed(r'Bearer realm="\\", service="s"', bearer(realm="\\", service="s"))

    def test_whitespace(self) -> None:
        """Spaces and tabs may stand around commas and, though they should not, around equals signs."""
        self.assert_parsed(' Bearer \t realm = "r"\t,\t service= s ', bearer(realm="r", service="s"))

    def test_empty_elements(self) -> None:
        """A list may have elements that are empty (RFC 9110, 5.6.1)."""
        self.assert_parsed(',, Bearer realm="r",, service="s",', bearer(realm="r", service="s"))
        self.assert_parsed("", *[])
        self.assert_parsed(" , ", *[])

    def test_case(self) -> None:
        """Schemes and names of parameters know no case (RFC 9110, 11.1 and 11.2), values do."""
        self.assert_parsed('BEARER Realm="HTTPS://A.io/T"', bearer(realm="HTTPS://A.io/T"))

    def test_unquoted(self) -> None:
        """Values without quotes are taken up to a space or comma, also if they have what only quotes would allow."""
        self.assert_parsed("Bearer realm=https://a.io/t?x=y,service=s", bearer(realm="https://a.io/t?x=y", service="s"))

    def test_empty_value(self) -> None:
        """A quoted value may be empty."""
        self.assert_parsed('Bearer realm="", service="s"', bearer(realm="", service="s"))

    def test_scheme_alone(self) -> None:
        """A scheme needs no parameters; behind a comma, a word is another scheme."""
        self.assert_parsed("Negotiate", Challenge("negotiate", {}))
        self.assert_parsed("Negotiate, NTLM", Challenge("negotiate", {}), Challenge("ntlm", {}))
        self.assert_parsed('Negotiate,Basic realm="r"', Challenge("negotiate", {}), Challenge("basic", {"realm": "r"}))

    def test_token_in_place_of_parameters(self) -> None:
        """A scheme may have one encoded token (RFC 9110, 11.2), which is no scheme and no parameter."""
        for token in ["YIIJvwYGKwYBBQUCo==", "abc", "a/b+c-d._~", "bearer", "a="]:
            self.assert_parsed(
                f'Negotiate {token}, Basic realm="r"', Challenge("negotiate", {}), Challenge("basic", {"realm": "r"})
            )
            self.assert_parsed(f"Negotiate {token}", Challenge("negotiate", {}))

    def test_several_headers(self) -> None:
        """Headers of the same name are one list, and a parameter never belongs to a scheme of another header."""
        self.assertEqual(
            parse_challenges(['Bearer realm="r"', 'service="s"', "Basic realm=b"]),
            [bearer(realm="r"), Challenge("basic", {"realm": "b"})],
        )
        self.assertEqual(parse_challenges([]), [])

    def test_same_scheme_twice(self) -> None:
        """A scheme may be offered twice; these are two challenges."""
        self.assert_parsed('Bearer realm="a", Bearer realm="b"', bearer(realm="a"), bearer(realm="b"))

    def test_parameter_twice(self) -> None:
        """Of a parameter that stands twice, which is not allowed, the first counts."""
        self.assert_parsed('Bearer realm="a", realm="b"', bearer(realm="a"))

    def test_what_cannot_be_read(self) -> None:
        """It ends its header; what stands before it is kept, and other headers are read."""
        for rest in ['service="s', 'service="s\\"', "service=", "= x", '"quoted"', "s=<a>", "@"]:
            self.assert_parsed(f'Bearer realm="r", {rest}', bearer(realm="r"))
        self.assertEqual(parse_challenges(["\x00", "Basic"]), [Challenge("basic", {})])

    def test_parameters_without_scheme(self) -> None:
        """They belong to nothing."""
        self.assert_parsed('realm="r"', *[])

    def test_other_bytes(self) -> None:
        """What is not ASCII may stand in quotes only, as it is."""
        self.assert_parsed('Basic realm="caf\xe9", x=1', Challenge("basic", {"realm": "caf\xe9", "x": "1"}))
        self.assert_parsed("Basic, B\xe4sic", Challenge("basic", {}))

    def test_length(self) -> None:
        """Of a header that is absurdly long, the beginning is read."""
        long = "x" * MAX_LENGTH

        self.assert_parsed(f'Basic realm="r", Bearer realm="{long}"', Challenge("basic", {"realm": "r"}), bearer())


class HostileTests(SynchronousTestCase):
    """An upstream may send what it likes."""

    @bounded
    @given(st.lists(ANY_TEXT | st.lists(st.sampled_from(PIECES), max_size=20).map("".join), max_size=3))
    def test_any_text(self, headers: list[str]) -> None:
        """Any text has challenges whose schemes and names are words; nothing is raised."""
        words = [word for one in parse_challenges(headers) for word in (one.scheme, *one.parameters)]

        self.assertEqual([word for word in words if not word or not word.isascii() or set(word) & set(' \t,="')], [])

    @bounded
    @given(st.text("".join(map(chr, range(32, 256))), max_size=50), st.text("ab, =", max_size=20))
    def test_quoted_values_return(self, value: str, other: str) -> None:
        """Whatever is quoted as it should be is read as it was."""
        quoted = ['"' + one.replace("\\", r"\\").replace('"', r"\"") + '"' for one in (value, other)]

        found = parse_challenges([f"Bearer realm={quoted[0]}, service={quoted[1]}"])

        self.assertEqual(found, [bearer(realm=value, service=other)])

    def test_linear(self) -> None:
        """The time that a text takes grows as its length does: whoever could make it grow faster could stop us."""
        for unit in [f"{one}{other}" for one in PIECES for other in PIECES]:
            for start in ["B ", 'B a="']:
                text = start + unit * ((1 << 15) // len(unit))
                begin = time.process_time()
                _parse(text)
                self.assertLess(time.process_time() - begin, 0.5, unit)
