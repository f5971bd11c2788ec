"""Hostile tokens, passwords, headers and forms against the whole edge: each is refused, and nothing else happens."""

from __future__ import annotations

from collections import Counter
from urllib.parse import quote_plus

from twisted.trial.unittest import SynchronousTestCase

from tests.auth.hostile import Forger, headers, passwords
from tests.web.auth.fixtures import AuthEdge, basic
from tests.web.messages import Response

MANIFEST = "/v2/team/app/manifests/latest"
APT = "/apt/main/stable.sources"
FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class CorpusTests(SynchronousTestCase):
    """Each at the registry, at the packages and at the token service."""

    def setUp(self) -> None:
        """Users, and a failure allowance that nobody can use up."""
        self.edge = AuthEdge(self, per_address=10**6, per_user=10**6)
        self.statuses: Counter[int] = Counter()

    def tearDown(self) -> None:
        """Not one internal error was logged."""
        self.assertEqual(self.flushLoggedErrors(), [])
        self.assertLessEqual(set(self.statuses), {400, 401, 404, 413, 431})

    def assert_refused(self, name: str, answer: Response, challenge: str = "") -> None:
        """It is a refusal, with its one challenge."""
        self.statuses[answer.status] += 1
        with self.subTest(name):
            self.assertIn(answer.status, (400, 401, 413, 431), answer)
            if answer.status == 401:
                given = answer.header("WWW-Authenticate") or ""
                self.assertTrue(given.startswith(challenge), given)
                self.assertNotIn(answer.body, (b"", b"{}"))

    def try_header(self, name: str, value: str) -> None:
        """Show a header everywhere."""
        shown = {"Authorization": value}
        self.assert_refused(name, self.edge.call("GET", "/v2/", shown), "Bearer realm=")
        self.assert_refused(name, self.edge.call("GET", MANIFEST, shown), "Bearer realm=")
        self.assert_refused(name, self.edge.call("GET", APT, shown), "Basic realm=")
        self.assert_refused(name, self.edge.call("GET", "/auth/token?scope=repository:a:push", shown), "Basic realm=")

    def test_tokens(self) -> None:
        """Tokens behind Bearer, and as the password of a user."""
        forger = Forger(self.edge.wall.keys, self.edge.wall.tokens.settings, self.edge.clock.seconds())
        cases = list(forger.tokens())
        for number, (name, token) in enumerate(cases):
            printable = token.encode("utf-8", "replace").decode("latin-1")
            answer = self.edge.call("GET", MANIFEST, {"Authorization": f"Bearer {printable}"})
            self.assert_refused(name, answer, "Bearer realm=")
            if number % 10 == 0:
                self.try_header(name, f"Bearer {printable}")
                self.assert_refused(name, self.edge.call("GET", "/v2/", basic("alice", token)), "Bearer realm=")
        self.assertGreater(len(cases), 420)

    def test_passwords(self) -> None:
        """Passwords and user names, in the header and in the form."""
        for name, user, password in passwords():
            self.try_header(name, basic(user, password)["Authorization"])
            form = f"grant_type=password&username={quote_plus(user)}&password={quote_plus(password)}&service=x"
            answer = self.edge.call("POST", "/auth/token", FORM, form.encode("ascii"))
            self.assert_refused(name, answer, "Basic realm=")

    def test_headers(self) -> None:
        """Headers that are none."""
        for name, value in headers():
            self.try_header(name, value)

    def test_forms(self) -> None:
        """Forms that are none, ask for nothing that there is, or for it twice, or are too long."""
        right = "grant_type=password&username=alice&password=secret"
        bodies = [b"", b"\xff", b"grant_type", b"grant_type=", b"grant_type=client_credentials", b"grant_type=PASSWORD"]
        bodies += [b"grant_type=refresh_token", b"grant_type=refresh_token&refresh_token=x", b"{}", b"%", b"&" * 5000]
        bodies += [f"{right}&password=other".encode(), f"{right}&grant_type=password".encode(), b"a=b&" * 300]
        bodies += [f"{right}&scope={'repository:a:pull+' * 65}".encode(), f"{right}&pad={'x' * 70_000}".encode()]
        bodies += [
            b"grant_type=password",
            b"grant_type=password&username=alice",
            b"grant_type=password&password=secret",
        ]
        bodies += [
            b"grant_type=password&username=alice&password=%73ecret%00",
            b"grant_type=password&username=%FF&password=x",
        ]
        for number, body in enumerate(bodies):
            self.assert_refused(f"form {number}", self.edge.call("POST", "/auth/token", FORM, body))

    def test_queries(self) -> None:
        """Queries of the token service that say something twice, or cannot be read, or ask for too much."""
        many = "&".join(["scope=a:b:c"] * 65)
        for query in ("scope=%ff", "service=a&service=b", "access_type=a&access_type=b", many, "&a=b" * 300):
            answer = self.edge.call("GET", f"/auth/token?{query}", basic("alice", "secret"))
            self.assertEqual(answer.status, 400, query)
