"""The table of clients, and how set-ups are printed."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.clientsetup.clients import CLIENTS, needs, rendered, set_up
from pkgd.clientsetup.model import Commands, File, Lines, Login, Target

TARGET = Target("https://pkg.example.com", Login("alice", "s3cret"))


class TableTests(SynchronousTestCase):
    """Every client."""

    def test_all(self) -> None:
        """Each has a set-up for this server, and a secret is only in files for their owner alone."""
        for client in CLIENTS:
            parts = set_up(client, TARGET, "from pkg.example.com\n")
            self.assertIn("pkg.example.com", rendered(parts), client)
            for one in parts:
                if any(secret in one.text for secret in ("s3cret", "YWxpY2U6czNjcmV0")):
                    self.assertEqual(one.mode if isinstance(one, File) else None, 0o600, client)

    def test_needs(self) -> None:
        """The server is asked for what it alone knows."""
        asked = {client: path for client in CLIENTS if (path := needs(client, TARGET))}
        self.assertEqual(asked, {"apt": "/apt/main/stable.sources", "dnf": "/rpm/main/pkgd.repo"})


class RenderedTests(SynchronousTestCase):
    """What is printed."""

    def test_paths(self) -> None:
        """Each file has its path above it, once; what is typed stands as it is."""
        parts = [
            File("/a", "# /a\nx\n"),
            File("/b", "{}\n"),
            Lines("/c", "y\n"),
            Commands("z\n"),
        ]
        self.assertEqual(rendered(parts), "# /a\nx\n\n// /b\n{}\n\n# in /c\ny\n\nz\n")
