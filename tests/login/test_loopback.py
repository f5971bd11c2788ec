"""What `pkgd login` is known by to a browser of the same machine; at a real port it is in `tests.oidc`."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from twisted.trial.unittest import SynchronousTestCase

from pkgd.auth.pending import challenge_of
from pkgd.login.loopback import Ticket


class TicketTests(SynchronousTestCase):
    """One login."""

    def test_page(self) -> None:
        """The page has what pkgd needs to send the browser back, and not the verifier."""
        ticket = Ticket.new()
        parts = urlsplit(ticket.page("https://pkg.example.com:443", 40001))

        self.assertEqual((parts.netloc, parts.path), ("pkg.example.com:443", "/auth/loopback"))
        query = parse_qs(parts.query)
        self.assertEqual(query["port"], ["40001"])
        self.assertEqual(query["state"], [ticket.state])
        self.assertEqual(query["code_challenge"], [challenge_of(ticket.verifier)])
        self.assertNotIn(ticket.verifier, parts.query)
        self.assertNotIn(ticket.verifier, repr(ticket))
        self.assertNotEqual(ticket, Ticket.new())

    def test_code(self) -> None:
        """A code is taken only from who knows the state, once given, at the one path."""
        ticket = Ticket("state", "verifier")
        self.assertEqual(ticket.code_in("/?code=abc&state=state"), "abc")
        for target in (
            "/",
            "/favicon.ico",
            "/?code=abc",
            "/?state=state",
            "/?code=abc&state=other",
            "/?code=abc&state=stat%C3%A9",
            "/?code=abc&code=def&state=state",
            "/?code=abc&state=state&state=state",
            "/x?code=abc&state=state",
            "//[?code=abc&state=state",
            "/?" + "&".join(["a=b"] * 100) + "&code=abc&state=state",
        ):
            self.assertIsNone(ticket.code_in(target), target)
