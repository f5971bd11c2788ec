"""Tests for the corpus itself, and for the judging of what comes back."""

from __future__ import annotations

from collections import Counter

from twisted.trial.unittest import SynchronousTestCase

from tests.hostile.case import Case, case, get, request
from tests.hostile.conversation import Answer, Conversation, parse_head
from tests.hostile.corpus import quick_cases
from tests.hostile.verdict import faults_of

_DOCUMENT = b'{"errors":[{"code":"NAME_INVALID","message":"no"}]}'
_JSON = (("content-type", "application/json"),)


class CorpusTests(SynchronousTestCase):
    """The corpus is as large as it claims to be."""

    def test_size(self) -> None:
        """There are a thousand distinct cases, three hundred of them traversals."""
        cases = quick_cases()

        self.assertGreaterEqual(len({one.steps for one in cases}), 1000)
        self.assertGreaterEqual(Counter(one.category for one in cases)["traversal"], 300)


class VerdictTests(SynchronousTestCase):
    """Each rule can be broken."""

    refused = case("target", "bad", "400 404", get(b"/v2/%2e%2e"))

    def judge(self, one: Case, *answers: Answer, edge: bool = False) -> list[str]:
        """What is wrong with these answers."""
        return faults_of(one, Conversation(list(answers)), edge)

    def test_good(self) -> None:
        """A refusal as an OCI error document is good."""
        self.assertEqual(self.judge(self.refused, Answer(404, _JSON, _DOCUMENT)), [])

    def test_status(self) -> None:
        """Another status is not."""
        self.assertEqual(self.judge(self.refused, Answer(200, _JSON, b"{}")), ["answer 1 is 200, expected 400 404"])

    def test_closed(self) -> None:
        """Nor is none at all."""
        self.assertEqual(self.judge(self.refused), ["answer 1 is closed, expected 400 404"])

    def test_document(self) -> None:
        """A refusal below /v2/ in another format is a fault."""
        faults = self.judge(self.refused, Answer(404, (("content-type", "text/html"),), b"<html>"))

        self.assertEqual(len(faults), 1)

    def test_head_has_no_document(self) -> None:
        """Except to HEAD, which has no body."""
        head = case("target", "bad", "404", request(b"HEAD /v2/%2e%2e HTTP/1.1"))

        self.assertEqual(self.judge(head, Answer(404, (), b"")), [])

    def test_answer_within_answer(self) -> None:
        """Two answers where one was due are found although they look like one."""
        body = _DOCUMENT + b"HTTP/1.1 200 OK\r\n\r\n"

        self.assertTrue(any("desync" in fault for fault in self.judge(self.refused, Answer(404, _JSON, body))))

    def test_location(self) -> None:
        """A Location with an authority is a fault."""
        answer = Answer(404, (*_JSON, ("location", "//evil.example/")), _DOCUMENT)

        self.assertEqual(len(self.judge(self.refused, answer)), 1)

    def test_proxy(self) -> None:
        """A 502 is the server's fault, a refusal in the proxy's own format is not."""
        self.assertEqual(len(self.judge(self.refused, Answer(502, (), b"<html>"), edge=True)), 1)
        self.assertEqual(self.judge(self.refused, Answer(400, (), b"<html>"), edge=True), [])

    def test_head_of_an_answer(self) -> None:
        """What is no HTTP is not taken for an answer."""
        self.assertEqual(parse_head(b"HTTP/1.1 200 OK\r\nA: b\r\n\r\n"), (200, (("a", "b"),)))
        for head in (b"HTTP/2 200 OK\r\n\r\n", b"HTTP/1.1 2x0 OK\r\n\r\n", b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n"):
            self.assertRaises(ValueError, parse_head, head)
