"""The command `pkgd healthcheck`; against a running daemon it is in the suite of images."""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from http.client import BadStatusLine

from twisted.trial.unittest import SynchronousTestCase

from pkgd.commands.healthcheck import check
from pkgd.prefetch.transport import Unreachable
from tests.test_main import CommandCase, run


class _Answer:
    """An answer from memory."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status = status
        self._body = body
        self.closed = False

    def header(self, name: str) -> str:
        """None are asked for."""
        raise AssertionError(name)

    def read(self, size: int) -> bytes:
        """The body."""
        return self._body[:size]

    def close(self) -> None:
        """It is noted."""
        self.closed = True


def _check(outcome: _Answer | Exception) -> tuple[int, str, str]:
    """Exit status, output and errors of a check that ends so."""

    def transport(method: str, path: str, headers: Mapping[str, str]) -> _Answer:
        assert (method, path) == ("GET", "/ready")
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
        status = check(transport, "http://127.0.0.1:8080")
    return status, output.getvalue(), errors.getvalue()


class CheckTests(SynchronousTestCase):
    """Asking once."""

    def test_ready(self) -> None:
        """Who takes requests is healthy; what was answered is printed."""
        answer = _Answer(200, b'{"status":"ready"}')

        self.assertEqual(_check(answer), (0, '{"status":"ready"}\n', ""))
        self.assertTrue(answer.closed)

    def test_not_ready(self) -> None:
        """Who says that it doesn't take requests is not, and why is printed."""
        self.assertEqual(_check(_Answer(503, b'{"status":"not_ready"}')), (1, '{"status":"not_ready"}\n', ""))

    def test_unreachable(self) -> None:
        """Who has no open port, or breaks off, or doesn't speak HTTP, is not: one line."""
        for error in (Unreachable("Connection refused"), TimeoutError("timed out"), BadStatusLine("SSH-2.0")):
            status, output, errors = _check(error)
            self.assertEqual((status, output), (1, ""))
            self.assertEqual(errors, f"pkgd: http://127.0.0.1:8080 does not answer: {error}\n")


class CommandTests(CommandCase):
    """The command line."""

    def test_endpoint_without_port(self) -> None:
        """Where the configuration has no TCP port, the URL has to be given."""
        config = self.write("server: {listen: ['unix:/run/pkgd.sock']}\nauth: {mode: none}\n")

        found = run("healthcheck", "-c", config)

        self.assertEqual(found.status, 1)
        self.assertIn("give --url", found.errors)
