"""Back ends and issuers in the configuration: what could leak a password, or be believed by mistake, is refused."""

from __future__ import annotations

from pkgd.config import Auth, Config
from tests.config.cases import ConfigCase

BACKEND = "auth: {{mode: basic, basic_api_backends: [{{{}}}]}}"
WORKLOAD = "auth: {{mode: basic, basic_htpasswd_file: x, oidc: {{workload: [{{{}}}]}}}}"
URL = "url: https://a.example/login"
JOB = 'issuer: https://ci.example, audience: [pkg], username: "ci:${claims.sub}"'


def auth(config: Config) -> Auth:
    """The section."""
    assert config.auth is not None
    return config.auth


class BackendTests(ConfigCase):
    """`auth.basic_api_backends`."""

    def refuse(self, rest: str, key: str = "", url: str = URL) -> None:
        """A back end with this is refused because of the key."""
        path = f"auth.basic_api_backends[0]{key and '.'}{key}"
        error = self.assert_refused(BACKEND.format(f"{url}, {rest}" if rest else url), path)
        self.assertNotIn("hunter2", error.message)

    def test_url_alone(self) -> None:
        """A URL alone is a back end; it is called after its host."""
        found = auth(self.read("auth: {mode: basic, basic_api_backends: ['https://a.example:8443/login/']}"))

        (backend,) = found.basic_api_backends
        self.assertEqual((backend.url, backend.name), ("https://a.example:8443/login/", "a.example:8443"))
        self.assertEqual((backend.cache_ttl, backend.timeout, backend.user_globs), (60, 10, ["**"]))

    def test_environment(self) -> None:
        """The list can be set by the environment."""
        variable = {"PKGD_AUTH__BASIC_API_BACKENDS": "[https://a.example/x]"}
        self.assertEqual(auth(self.read("auth: {mode: basic}", variable)).basic_api_backends[0].name, "a.example")

    def test_urls(self) -> None:
        """Over TLS, or within this machine, or by the operator's explicit wish."""
        for url in ("https://a.example", "https://10.0.0.1:1/x?y=z", "http://127.0.0.1:9/x", "http://localhost/x"):
            self.read(BACKEND.format(f'url: "{url}"'))
        for url in (
            "http://a.example/x",
            "http://10.0.0.1/x",
            "ftp://a.example/x",
            "a.example/x",
            "https://",
            "https://bob:hunter2@a.example/",
            "https://a.example/#hunter2",
            "https://a.example/ x",
            "https://a.example:0/",
            "https://a.example:99999/",
            "https://0x7f.1/",
        ):
            self.refuse("", "url", f'url: "{url}"')
        plain = "url: http://a.example/x, allow_insecure_http: true"
        self.read(BACKEND.format(f"{plain}, jwks_file: keys.json"))
        self.refuse("", url=plain)
        self.refuse("jwks_url: http://a.example/keys", "jwks_url")
        self.refuse("issuer: http://a.example", "issuer")

    def test_keys(self) -> None:
        """One source of keys at most, and algorithms that fit it."""
        self.refuse("jwks_url: https://a.example/k, secret_file: s")
        self.refuse("jwks_file: a, public_key_file: b")
        self.refuse("algorithms: [HS256]", "algorithms")
        self.refuse("algorithms: [none]", "algorithms")
        self.refuse("algorithms: []", "algorithms")
        self.refuse("secret_file: s, algorithms: [RS256]", "algorithms")
        self.read(BACKEND.format(f"{URL}, secret_file: s, algorithms: [HS512]"))

    def test_direct(self) -> None:
        """Clients' own tokens need an issuer, an audience, and keys that only the issuer has."""
        issuer = "accept_direct: true, issuer: https://a.example"
        self.read(BACKEND.format(f"{URL}, {issuer}, audience: pkg"))
        self.refuse("accept_direct: true", "accept_direct")
        self.refuse(issuer, "accept_direct")
        self.refuse(f"{issuer}, audience: pkg, secret_file: s", "accept_direct")

    def test_scopes(self) -> None:
        """A back end is told of scopes in the body, so that there has to be one; what else is in it has a name."""
        (backend,) = auth(self.read(BACKEND.format(f"{URL}, request_body: scopes"))).basic_api_backends
        self.assertEqual((backend.request_body, backend.trust_access), ("scopes", False))
        self.refuse("request_body: scopes, method: GET", "request_body")
        self.refuse("request_body: scope", "request_body")
        self.refuse("trust_access: hunter2", "trust_access")

    def test_limits(self) -> None:
        """What would wait for ever, believe for ever, or ask nobody."""
        for rest, key in (
            ("timeout: 0s", "timeout"),
            ("timeout: 61s", "timeout"),
            ("cache_ttl: 301s", "cache_ttl"),
            ("max_token_lifetime: 25h", "max_token_lifetime"),
            ("users: []", "users"),
            ('users: ""', "users"),
            ("token_fields: []", "token_fields"),
            ('name: "a b"', "name"),
            ("private_hosts: ['https://x']", "private_hosts[0]"),
            ("client_cert: c.pem", ""),
            ('username_claim: ""', ""),
        ):
            self.refuse(rest, key)

    def test_unknown_keys(self) -> None:
        """A key that does not exist is named, and so is what was meant."""
        error = self.assert_refused(BACKEND.format(f"{URL}, jwks: x"), "auth.basic_api_backends[0].jwks")
        self.assertIn("jwks_", error.message)

    def test_names(self) -> None:
        """Two of one name would be one to whoever reads a token."""
        text = "auth: {{mode: basic, basic_api_backends: [https://a.example/x, {{url: https://a.example/y{}}}]}}"
        self.assert_refused(text.format(""), "auth.basic_api_backends[1].name")
        self.read(text.format(", name: b"))

    def test_paths(self) -> None:
        """Files are relative to the configuration."""
        keys = ("public_key_file", "ca_file", "client_cert", "client_key")
        text = BACKEND.format(", ".join([URL, *(f"{key}: x.pem" for key in keys)]))
        (backend,) = auth(self.read(text)).basic_api_backends
        for key in keys:
            self.assertEqual(getattr(backend, key), "/etc/pkgd/x.pem")


class WorkloadTests(ConfigCase):
    """`auth.oidc.workload`."""

    def refuse(self, rest: str, key: str) -> None:
        """A workload is refused because of the key."""
        self.assert_refused(WORKLOAD.format(rest), f"auth.oidc.workload[0].{key}")

    def test_read(self) -> None:
        """Texts, truth values and lists may be required."""
        text = WORKLOAD.format(f"{JOB}, require: {{a: x, b: true, c: [x, y]}}")
        (found,) = auth(self.read(text)).oidc.workload
        self.assertEqual(found.require, {"a": "x", "b": True, "c": ["x", "y"]})

    def test_refused(self) -> None:
        """No audience, a name that all would share, a template that is none."""
        issuer = "issuer: https://ci.example, audience: [pkg]"
        self.refuse('issuer: https://ci.example, audience: [], username: "${claims.sub}"', "audience")
        self.refuse(f"{issuer}, username: ci", "username")
        self.refuse(f'{issuer}, username: "${{claims.sub}}${{x}}"', "username")
        self.refuse(f'{JOB}, groups: ["${{claim.x}}"]', "groups")
        self.refuse(JOB.replace("https", "http"), "issuer")
        self.refuse(f"{JOB}, max_token_lifetime: 2d", "max_token_lifetime")

    def test_twice(self) -> None:
        """What an issuer's tokens mean is said once."""
        twice = f"auth: {{mode: basic, basic_htpasswd_file: x, oidc: {{workload: [{{{JOB}}}, {{{JOB}}}]}}}}"
        self.assert_refused(twice, "auth.oidc.workload[1].issuer")
