"""The command: what is read, what is written where, and the exit status."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError
from pkgd.prefetch.command import Order, Streams, prefetch, read_list
from pkgd.prefetch.transport import Unreachable
from tests.prefetch.fixtures import FakeAnswer, FakeRegistry


class Terminal(io.StringIO):
    """Where somebody looks."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class ClosedPipe(io.StringIO):
    """An output that nobody reads any more."""

    def write(self, text: str) -> int:
        """Fail."""
        raise BrokenPipeError


class CommandCase(SynchronousTestCase):
    """A registry with one image, and the command's streams."""

    def setUp(self) -> None:
        """`alpine:3`."""
        self.registry = FakeRegistry()
        self.registry.image(b"layer", tag="3")
        self.streams = Streams(io.BytesIO(), io.StringIO(), io.StringIO())

    def run_command(self, *lines: str, as_json: bool = False, streams: Streams | None = None) -> int:
        """Fetch a list; the exit status."""
        order = Order("http://pkg.test", jobs=2, as_json=as_json)
        return prefetch(lines, self.registry, order, streams or self.streams)

    def output(self) -> list[str]:
        """The lines of the output."""
        return self.streams.output.getvalue().splitlines()  # type: ignore[attr-defined, no-any-return]

    def errors(self) -> str:
        """What went to the other stream."""
        return self.streams.errors.getvalue()  # type: ignore[attr-defined, no-any-return]


class StatusTests(CommandCase):
    """How it ends."""

    def test_complete(self) -> None:
        """With every image complete it is 0, and a line for each is all that is said."""
        self.assertEqual(self.run_command("alpine:3"), 0)

        self.assertTrue(self.output()[0].startswith("ok docker.io/library/alpine:3 sha256:"))
        self.assertEqual((len(self.output()), self.errors()), (1, ""))

    def test_some_failed(self) -> None:
        """If one is not it is 1; each is named with its reason, and their number is the last word."""
        self.assertEqual(self.run_command("alpine:4", "alpine:3", "busybox"), 1)

        self.assertEqual(sorted(line.split(" ")[0] for line in self.output()), ["failed", "failed", "ok"])
        self.assertEqual(self.errors(), "pkgd: 2 of 3 images are not complete\n")

    def test_unreadable(self) -> None:
        """A line that names no image is reported as one that failed, without what could steer a terminal."""
        self.assertEqual(self.run_command("# list", "a \x1b[2Jb", "alpine:3"), 1)

        failed, complete = self.output()
        self.assertTrue(failed.startswith("failed a ?[2Jb: line 2: "))
        self.assertNotIn("\x1b", failed)
        self.assertTrue(complete.startswith("ok "))

    def test_empty(self) -> None:
        """A list of nothing is done."""
        self.assertEqual((self.run_command("# nothing", ""), self.output(), self.errors()), (0, [], ""))

    def test_no_registry(self) -> None:
        """If nobody answers, that is all that is said, by the name of the server."""
        self.registry.fault("/v2/", Unreachable("Connection refused"))

        error = self.assertRaises(ConfigError, self.run_command, "alpine:3")

        self.assertEqual(error.message, "http://pkg.test: Connection refused")
        self.assertEqual(len(self.registry.requests), 1)

    def test_closed_pipe(self) -> None:
        """When nobody reads on, it ends without a word, and does not write again."""
        streams = Streams(io.BytesIO(), ClosedPipe(), self.streams.errors)

        self.assertRaises(BrokenPipeError, self.run_command, "alpine:3", streams=streams)
        self.assertEqual(self.errors(), "")


class FormTests(CommandCase):
    """For whom it is written."""

    def test_json(self) -> None:
        """For machines every image, unreadable lines too, is one JSON object."""
        self.assertEqual(self.run_command("alpine:3", "a b", as_json=True), 1)

        found = {one["image"]: one["status"] for one in map(json.loads, self.output())}
        self.assertEqual(found, {"docker.io/library/alpine:3": "ok", "a b": "failed"})

    def test_terminal(self) -> None:
        """On a terminal there is a bar beside the lines; for machines there is none."""
        terminal = Terminal()
        streams = Streams(io.BytesIO(), self.streams.output, terminal)

        self.run_command("alpine:3", as_json=True, streams=streams)
        self.assertEqual(terminal.getvalue(), "")
        self.run_command("alpine:3", streams=streams)

        self.assertIn("1 of 1 images", terminal.getvalue())
        self.assertEqual(len(self.output()), 2)


class ListTests(CommandCase):
    """Where the list comes from."""

    def read(self, data: bytes) -> Sequence[str]:
        """Read these bytes from a file."""
        path = self.mktemp()
        with open(path, "wb") as file:
            file.write(data)
        return read_list(path, self.streams)

    def test_file(self) -> None:
        """A file's lines, however they end."""
        self.assertEqual(self.read(b"\xef\xbb\xbfa\r\nb\n\nc"), ["a", "b", "", "c"])

    def test_input(self) -> None:
        """`-` is the standard input."""
        streams = Streams(io.BytesIO(b"a\nb\n"), self.streams.output, self.streams.errors)

        self.assertEqual(read_list("-", streams), ["a", "b"])
        self.assertEqual(read_list("-", Streams(None, self.streams.output, self.streams.errors)), [])

    def test_bytes(self) -> None:
        """What is no text makes lines that name no image."""
        self.assertEqual(self.run_command(*self.read(b"\xff\xfe\x00\nalpine:3\n")), 1)
        self.assertEqual(len(self.output()), 2)

    def test_unreadable(self) -> None:
        """A file that cannot be read is named."""
        path = self.mktemp()
        for one in (path, "/"):
            self.assertIn(one, self.assertRaises(ConfigError, read_list, one, self.streams).message)


class UsualTests(CommandCase):
    """What pkgd says in passing."""

    def test_stale(self) -> None:
        """A stale answer is a warning, and no failure."""
        self.registry.always(
            "/3",
            lambda answer: FakeAnswer(200, answer.body, {**answer.headers, "Warning": '299 - "stale"'}),
        )

        self.assertEqual(self.run_command("alpine:3"), 0)
        self.assertEqual(self.output()[0], 'warning docker.io/library/alpine:3: 299 - "stale"')
