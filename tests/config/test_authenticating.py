"""The section `auth`: what each mode needs, and what is refused."""

from __future__ import annotations

from pkgd.config import hints
from tests.config.cases import ConfigCase

BASIC = "auth: {{mode: basic, basic_htpasswd_file: users{}}}"


class AuthTests(ConfigCase):
    """Modes and their keys."""

    def test_paths(self) -> None:
        """Files are relative to the configuration's own."""
        auth = self.read(BASIC.format(", token: {signing_key_file: keys/token.pem}")).auth

        assert auth is not None
        self.assertEqual(auth.basic_htpasswd_file, "/etc/pkgd/users")
        self.assertEqual(auth.token.signing_key_file, "/etc/pkgd/keys/token.pem")

    def test_environment(self) -> None:
        """The mode of a configuration can be changed by two variables."""
        environment = {"PKGD_AUTH__MODE": "basic", "PKGD_AUTH__BASIC_HTPASSWD_FILE": "./.htpasswd"}

        config = self.read("auth: {mode: none}", environment)

        self.assertEqual(config.auth_mode, "basic")

    def test_needs(self) -> None:
        """Mode basic needs users; without a section the mode is none."""
        self.assert_refused("auth: {mode: basic}", "auth.basic_htpasswd_file")
        self.assertEqual(self.read("").auth_mode, "none")

    def test_oidc(self) -> None:
        """Mode oidc needs a URL that browsers come back to, with TLS, a provider, and a client there."""
        provider = "issuer: https://idp.example.com, client_id: pkgd"
        named = "server: {external_url: https://pkg.example.com}\n"

        self.assertEqual(self.read(f"{named}auth: {{mode: oidc, oidc: {{{provider}}}}}").auth_mode, "oidc")
        for url in ("", "server: {external_url: http://pkg.example.com}\n"):
            self.assert_refused(f"{url}auth: {{mode: oidc, oidc: {{{provider}}}}}", "server.external_url")
        self.assert_refused(f"{named}auth: {{mode: oidc, oidc: {{client_id: a}}}}", "auth.oidc.issuer")
        self.assert_refused(f"{named}auth: {{mode: oidc, oidc: {{issuer: https://a}}}}", "auth.oidc.client_id")
        for more, key in (
            ("issuer: http://idp.example.com", ".issuer"),
            ("client_id: 'a b'", ".client_id"),
            ("scopes: [profile]", ".scopes"),
            ("scopes: [openid, 'a b']", ".scopes"),
            ("username_claim: ''", ""),
            ("allowed_groups: ['']", ""),
            ("client_secret: a, client_secret_file: b", ""),
            ("private_hosts: ['a b']", ".private_hosts[0]"),
        ):
            self.assert_refused(
                f"{named}auth: {{mode: basic, basic_htpasswd_file: x, oidc: {{{more}}}}}", f"auth.oidc{key}"
            )

    def test_api_keys(self) -> None:
        """Keys live for a minute at least, and no longer than the longest."""
        for text in ("default_lifetime: 59s", "default_lifetime: 366d", "max_lifetime: 89d"):
            key = "auth.api_keys.default_lifetime"
            self.assert_refused(f"auth: {{mode: none, api_keys: {{{text}}}}}", key)

    def test_token(self) -> None:
        """Lifetimes, names and algorithms that cannot work are refused."""
        for text in ("lifetime: 59s", "lifetime: 25h", "lifetime: 0"):
            self.assert_refused(BASIC.format(f", token: {{{text}}}"), "auth.token.lifetime")
        for text in ("'a b'", "'a\"b'", "''", "'ä'"):
            self.assert_refused(BASIC.format(f", token: {{service: {text}}}"), "auth.token.service")
        self.assert_refused(BASIC.format(", token: {algorithm: none}"), "auth.token.algorithm")

    def test_rates(self) -> None:
        """A rate is a number for a second, a minute or an hour."""
        for text in ("1/s", "30/m", "100000/h"):
            self.read(BASIC.format(f", throttle: {{per_ip: {text}}}"))
        for text in ("0/m", "30", "30/d", "-1/m", "1.5/m", "x", "1/m\\n"):
            self.assert_refused(BASIC.format(f', throttle: {{per_user: "{text}"}}'), "auth.throttle.per_user")


class HintTests(ConfigCase):
    """What the log says at the start."""

    def hints(self, text: str) -> str:
        """All of it."""
        return "\n".join(hints(self.read(text), {}))

    def test_open(self) -> None:
        """A server that everybody may write to says so, unless nobody else can reach it."""
        listen = "\nserver: {listen: ['tcp:80']}"
        self.assertIn("everybody who reaches tcp:80 may push", self.hints("auth: {mode: none}" + listen))
        self.assertEqual(self.hints("auth: {mode: none}"), "")

    def test_realm(self) -> None:
        """With users, a server that doesn't know what it is called says so."""
        self.assertIn("server.external_url", self.hints(BASIC.format("")))
        self.assertEqual(self.hints(BASIC.format("") + "\nserver: {external_url: 'https://pkg.example.com'}"), "")
