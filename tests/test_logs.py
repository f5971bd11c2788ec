"""The application log: which events are written, and how."""

from __future__ import annotations

import io
import json

from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from pkgd.logs import observer


class LogTests(SynchronousTestCase):
    """Events of a logger."""

    def written(self, form: str, level: str = "info") -> list[str]:
        """The lines of a few events."""
        stream = io.StringIO()
        log = Logger("pkgd.test", observer=observer(level, form, stream))
        log.debug("nobody wants this")
        log.info("a blob of {size} bytes\nin two lines", size=7)
        try:
            raise ZeroDivisionError("by nothing")
        except ZeroDivisionError:
            log.failure("it broke")
        return stream.getvalue().splitlines()

    def test_text(self) -> None:
        """As Twisted writes it, a traceback below it."""
        lines = self.written("text")
        self.assertIn("[pkgd.test#info] a blob of 7 bytes", lines[0])
        self.assertIn("\tbuiltins.ZeroDivisionError: by nothing", lines)

    def test_json(self) -> None:
        """One object a line, whatever the message; a traceback is a field of its own."""
        first, second = (json.loads(line) for line in self.written("json"))
        self.assertEqual(list(first), ["time", "level", "logger", "message"])
        self.assertEqual(
            (first["level"], first["logger"], first["message"]),
            ("info", "pkgd.test", "a blob of 7 bytes\nin two lines"),
        )
        self.assertEqual((second["level"], second["message"]), ("critical", "it broke"))
        self.assertIn("ZeroDivisionError: by nothing", second["traceback"])
        self.assertRegex(first["time"], r"^[0-9-]{10}T[0-9:.]{12}\+00:00$")

    def test_level(self) -> None:
        """Below the level nothing is written."""
        self.assertEqual(len(self.written("json", "error")), 1)
