"""Who vouches for users beside us, made from a configuration; and what `check-config --online` says of them."""

from __future__ import annotations

import json
import os
from base64 import b64encode
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.authority import Authority
from pkgd.auth.sources import Verdict
from pkgd.config import Config, parse
from pkgd.errors import AuthUnavailable, ConfigError, Unauthenticated
from pkgd.federation import Federation, federate
from pkgd.online_check import check
from tests.auth.fixtures import Wall
from tests.auth.issuing import ISSUER, NOW, jwk, jwks, pem, token
from tests.outbound.network import Network

BACKEND = "auth: {{mode: basic, basic_api_backends: [{{url: 'http://127.0.0.1:9/login', name: corp, {}}}]}}"


PLACE = "http://127.0.0.1:9"
PROVIDER = (
    "server: {external_url: 'https://pkg.example.com'}\n"
    f"auth: {{mode: oidc, oidc: {{issuer: '{PLACE}', client_id: pkgd}}}}"
)


class FederationCase(SynchronousTestCase):
    """A directory with keys, and a network in which nobody answers unless the test does."""

    def setUp(self) -> None:
        """The keys are in every form that a file may have."""
        self.base = os.path.abspath(self.mktemp())
        os.makedirs(self.base)
        for name, data in (("keys.json", jwks(jwk("EdDSA"))), ("key.pem", pem("EdDSA")), ("secret", b"s" * 32 + b"\n")):
            self.write(name, data)
        self.network = Network()
        self.network.advance(NOW)

    def write(self, name: str, data: bytes) -> None:
        """A file."""
        with open(os.path.join(self.base, name), "wb") as file:
            file.write(data)

    def read(self, text: str) -> Config:
        """A configuration."""
        return parse(text, {}, self.base)

    def make(self, text: str) -> Federation:
        """What is made of it."""
        return federate(self.network, self.read(text), self.network.seconds, lambda name: name == "local")


class MadeTests(FederationCase):
    """What there is."""

    def test_nobody(self) -> None:
        """Nobody vouches where nobody is asked for credentials, or nothing is configured."""
        for text in ("", "auth: {mode: none, basic_api_backends: [https://a.example/x]}"):
            found = self.make(text)
            self.assertEqual((found.vouchers, found.backends, found.workloads), ([], [], None))

    def test_order(self) -> None:
        """Back ends in the order in which they stand, each by its name."""
        found = self.make("auth: {mode: basic, basic_api_backends: [https://b.example/x, https://a.example/x]}")

        self.assertEqual([one.name for one in found.backends], ["api:b.example", "api:a.example"])
        self.assertIsNone(found.workloads)
        self.assertEqual([one.path for one in found.vouchers], [f"auth.basic_api_backends[{at}]" for at in (0, 1)])

    def test_key_files(self) -> None:
        """Keys in files are those that verify, for clients' own tokens, too; nobody is asked."""
        for keys in ("jwks_file: keys.json", "public_key_file: key.pem"):
            rest = f"{keys}, issuer: '{ISSUER}', audience: pkg.example.com, accept_direct: true"
            found = self.make(BACKEND.format(rest))
            assert found.workloads is not None
            for text, name in ((token("EdDSA"), "alice"), (token("EdDSA", sub="local"), None)):
                verdict: Any = self.successResultOf(Deferred.fromCoroutine(found.workloads.check_token(text)))
                self.assertEqual(None if verdict is Verdict.REJECTED else verdict.principal.name, name)
        self.assertEqual(self.network.called, [])

    def test_workload(self) -> None:
        """A workload is what its section says; truth values may be required as such."""
        job = f"issuer: '{ISSUER}', audience: [x, pkg.example.com], username: 'ci:${{claims.sub}}'"
        job += ", jwks_file: keys.json, require: {p: true}"
        backends = "basic_api_backends: [https://a.example/x]"
        source = self.make(f"auth: {{mode: basic, {backends}, oidc: {{workload: [{{{job}}}]}}}}").workloads
        assert source is not None
        for claims, name in (({"p": "true"}, "ci:alice"), ({"p": True}, "ci:alice"), ({}, None)):
            verdict: Any = self.successResultOf(Deferred.fromCoroutine(source.check_token(token("EdDSA", **claims))))
            self.assertEqual(None if verdict is Verdict.REJECTED else verdict.principal.name, name)

    def test_unusable_files(self) -> None:
        """A file that cannot be used is an error of its key, which shows nothing of the file."""
        self.write("short", b"hunter2")
        for rest, key in (
            ("jwks_file: absent.json", ".jwks_file"),
            ("jwks_file: key.pem", ".jwks_file"),
            ("public_key_file: keys.json", ".public_key_file"),
            ("secret_file: short", ".secret_file"),
            ("ca_file: keys.json", ""),
            ("client_cert: key.pem, client_key: secret", ""),
        ):
            error = self.assertRaises(ConfigError, self.make, BACKEND.format(rest))
            self.assertEqual(error.path, f"auth.basic_api_backends[0]{key}")
            self.assertNotIn("hunter2", error.message)
        self.make(BACKEND.format("secret_file: secret"))

    def test_warned(self) -> None:
        """Plain HTTP with other machines is warned of at every start."""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        plain = "url: http://a.example/x, allow_insecure_http: true, jwks_file: keys.json"
        found = self.make(f"auth: {{mode: basic, basic_api_backends: [{{{plain}}}]}}")
        self.successResultOf(Deferred.fromCoroutine(found.look()))

        self.assertEqual(["plain HTTP" in str(event["log_format"]) for event in events], [True])


class AskedTests(FederationCase):
    """Who is asked when."""

    def test_foreign(self) -> None:
        """Credentials that may be another server's are shown to no back end; others are."""
        backend = self.make(BACKEND.format("jwks_file: keys.json")).backends[0]
        wall = Wall(self.network, [backend], None)
        authority: Authority = wall.authority
        header = b"Basic " + b64encode(b"hubuser:hunter2")
        asking = Deferred.fromCoroutine(authority.identify(header, "192.0.2.7", local_only=True))
        self.failureResultOf(asking, Unauthenticated)
        self.assertEqual(self.network.called, [])

        asking = Deferred.fromCoroutine(authority.identify(header, "192.0.2.7"))
        self.assertEqual(self.network.called, [("127.0.0.1", 9)])
        self.network.refuse()
        self.failureResultOf(asking, AuthUnavailable)


class OnlineTests(FederationCase):
    """`check-config --online`."""

    def check(self, text: str) -> tuple[Deferred[bool], list[str]]:
        """Begin it; what it shows."""
        shown: list[str] = []
        looking = Deferred.fromCoroutine(check(self.network, self.read(text), self.network.seconds, shown.append))
        return looking, shown

    def answered(self, status: bytes) -> tuple[bool, str]:
        """What is said of a back end that answers so to whoever shows no credentials."""
        looking, shown = self.check(BACKEND.format("jwks_file: keys.json"))
        wire = self.network.accept()
        self.assertNotIn(b"Authorization", wire.take())
        wire.deliver(b"HTTP/1.1 " + status + b"\r\nContent-Length: 0\r\n\r\n")
        self.network.advance(2)
        return self.successResultOf(looking), shown[0]

    def test_nobody(self) -> None:
        """Where there is nobody to ask, all is well."""
        looking, shown = self.check("")
        self.assertEqual((self.successResultOf(looking), shown), (True, []))

    def test_fine(self) -> None:
        """A back end refuses whoever shows no credentials."""
        for status in (b"401 Unauthorized", b"403 Forbidden"):
            fine, line = self.answered(status)
            self.assertTrue(fine)
            self.assertTrue(line.startswith("ok   auth.basic_api_backends[0] corp: refuses"), line)

    def test_open(self) -> None:
        """One that answers otherwise is not as it should be."""
        for status in (b"200 OK", b"404 Not Found", b"302 Found"):
            fine, line = self.answered(status)
            self.assertFalse(fine)
            self.assertIn(f"FAIL auth.basic_api_backends[0] corp: answers {status[:3].decode()}", line)

    def test_gone(self) -> None:
        """One that cannot be reached is named, with the reason."""
        looking, shown = self.check(BACKEND.format("jwks_file: keys.json"))
        self.network.refuse()

        self.assertFalse(self.successResultOf(looking))
        self.assertIn("cannot be reached", shown[0])

    def provider(self, *bodies: dict[str, Any] | None) -> tuple[bool, str]:
        """What is said of a provider whose documents are these, one after the other; None is a status of 500."""
        looking, shown = self.check(PROVIDER)
        for body in bodies:
            wire = self.network.accept()
            wire.take()
            data = b"" if body is None else json.dumps(body).encode()
            status = b"500 Internal Server Error" if body is None else b"200 OK"
            wire.deliver(
                b"HTTP/1.1 %b\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (status, len(data), data)
            )
            self.network.advance(2)
        return self.successResultOf(looking), shown[0]

    def test_provider(self) -> None:
        """The provider is asked for its discovery document, and for the keys that this names."""
        document = {"issuer": PLACE, **{f"{one}_endpoint": f"{PLACE}/{one}" for one in ("authorization", "token")}}
        document["jwks_uri"] = f"{PLACE}/jwks"
        keys = json.loads(jwks(jwk("ES256")))
        for bodies, fine, words in (
            ((document, document, keys), True, "logs in at 127.0.0.1:9; no device codes"),
            ((document, document, keys), True, "1 key"),
            (({**document, "issuer": "https://other.example"}, document, keys), False, "of another issuer"),
            (({**document, "token_endpoint": None}, document, keys), False, "token_endpoint"),
            ((document, document, {"keys": []}), False, "no keys"),
            ((None, None), False, "answers 500"),
        ):
            found, line = self.provider(*bodies)
            self.assertEqual((found, line[:4]), (fine, "ok  " if fine else "FAIL"), line)
            self.assertIn(f" auth.oidc {PLACE}: ", line)
            self.assertIn(words, line)
