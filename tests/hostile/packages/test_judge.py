"""Tests for the judging of answers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.hostile.packages.judge import Verdicts, fault_of
from tests.hostile.packages.upload import Upload
from tests.repositories.web import Answer

_TEXT = {"content-type": "text/plain; charset=utf-8"}


class FaultTests(SynchronousTestCase):
    """Each rule can be broken."""

    def test_good(self) -> None:
        """A refusal with a reason, and an acceptance."""
        self.assertIsNone(fault_of(Answer(400, _TEXT, b"archive: it is cut\n")))
        self.assertIsNone(fault_of(Answer(201, _TEXT, b"published\n")))

    def test_bad(self) -> None:
        """A failure, a redirect, another type, no text, two lines, a traceback, a control character."""
        for answer in (
            Answer(500, _TEXT, b"internal error\n"),
            Answer(302, _TEXT, b"elsewhere\n"),
            Answer(400, {"content-type": "text/html"}, b"<p>no\n"),
            Answer(400, _TEXT, b"\n"),
            Answer(400, _TEXT, b"one\ntwo\n"),
            Answer(400, _TEXT, b"x" * 5000),
            Answer(400, _TEXT, b"Traceback (most recent call last)\n"),
            Answer(400, _TEXT, b"name \x1b[31m\n"),
        ):
            self.assertIsNotNone(fault_of(answer), answer)


class VerdictsTests(SynchronousTestCase):
    """The sum."""

    def test_sum(self) -> None:
        """Refused, in conflict, taken and faulty are told apart."""
        verdicts, upload = Verdicts(), Upload("deb", "x", "/", b"")
        for status in (400, 413, 409, 201, 500):
            verdicts.note(upload, Answer(status, {**_TEXT, "location": "/p"}, b"text\n"), 0.1)

        self.assertEqual((verdicts.refused["deb"], verdicts.conflicts["deb"]), (2, 1))
        self.assertEqual([one.location for one in verdicts.taken["deb"]], ["/p"])
        self.assertEqual(len(verdicts.faults), 1)
