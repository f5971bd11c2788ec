"""What goes over the admin socket."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from pkgd.admin.lines import Command, encode, parse_command
from pkgd.errors import InvalidRequest


class LineTests(SynchronousTestCase):
    """Lines, and what is none."""

    def test_command(self) -> None:
        """A command has a name and arguments; without arguments it has none."""
        self.assertEqual(
            parse_command(b'{"command": "gc", "arguments": {"apply": true}}'), Command("gc", {"apply": True})
        )
        self.assertEqual(parse_command(encode({"command": "gc"})), Command("gc", {}))

    def test_refused(self) -> None:
        """What is no command is refused, however hostile."""
        for line in (b"", b"x", b"[]", b"{}", b'{"command": 1}', b'{"command": "x", "arguments": []}', b"[" * 50000):
            self.assertRaises(InvalidRequest, parse_command, line)

    def test_one_line(self) -> None:
        """A document with line ends in it is still one line."""
        self.assertEqual(encode({"error": "a\nb"}).count(b"\n"), 1)
