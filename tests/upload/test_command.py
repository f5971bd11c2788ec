"""`pkgd upload`: files in, a line for each out, an exit status."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from http.client import BadStatusLine
from threading import Barrier

from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError
from pkgd.prefetch.transport import Unreachable
from pkgd.terminal import Streams
from pkgd.upload.command import PIECE, upload
from pkgd.upload.target import Target
from tests.prefetch.fixtures import FakeAnswer

APT = Target.parse("apt:main", "stable", None)


class Terminal(io.StringIO):
    """A stream to somebody who looks at it."""

    def isatty(self) -> bool:
        """It is one."""
        return True


class FakeServer:
    """Takes what it is sent; some paths have another answer, or none."""

    def __init__(self) -> None:
        self.taken: dict[str, tuple[Mapping[str, str], bytes]] = {}
        self.answers: dict[str, FakeAnswer | Exception] = {}
        self.before: Callable[[], object] = lambda: None

    def __call__(self, method: str, path: str, headers: Mapping[str, str], body: Iterable[bytes] | None) -> FakeAnswer:
        """An exchange."""
        assert method == "PUT"
        self.before()
        self.taken[path] = (headers, b"".join(body or ()))
        answer = self.answers.get(path.rpartition("/")[2], FakeAnswer(201, b"it is published\n"))
        if isinstance(answer, Exception):
            raise answer
        return answer


class UploadTests(SynchronousTestCase):
    """One call of the command."""

    def setUp(self) -> None:
        """A server, and a directory with files."""
        self.server = FakeServer()
        self.output = io.StringIO()
        self.errors: io.StringIO = io.StringIO()
        self.directory = self.mktemp()
        os.mkdir(self.directory)

    def file(self, name: str, data: bytes = b"data") -> str:
        """A file."""
        path = os.path.join(self.directory, name)
        with open(path, "wb") as file:
            file.write(data)
        return path

    def upload(self, *paths: str, jobs: int = 1) -> int:
        """Run it."""
        return upload(paths, APT, self.server, Streams(self.output, self.errors), jobs)

    def test_at_once(self) -> None:
        """Several are on their way at the same time: with as many jobs as files, all are before one is answered."""
        together = Barrier(3)
        self.server.before = lambda: together.wait(10)

        self.assertEqual(self.upload(*(self.file(f"{name}.deb") for name in "abc"), jobs=3), 0)

        self.assertEqual(len(self.server.taken), 3)

    def test_a_surprise(self) -> None:
        """What nobody has foreseen ends the command, whichever thread it comes from."""
        self.server.answers["a.deb"] = ZeroDivisionError()

        self.assertRaises(ZeroDivisionError, self.upload, self.file("a.deb"), jobs=2)

    def test_uploaded(self) -> None:
        """A file is sent whole, with its length, and the answer is shown."""
        data = os.urandom(PIECE + 7)

        self.assertEqual(self.upload(self.file("a.deb", data)), 0)

        headers, sent = self.server.taken["/apt/main/stable/main/a.deb"]
        self.assertEqual((headers["Content-Length"], sent), (str(PIECE + 7), data))
        self.assertEqual((self.output.getvalue(), self.errors.getvalue()), ("ok a.deb: it is published\n", ""))

    def test_order(self) -> None:
        """What closes a set is sent last."""
        self.upload(self.file("a.dsc"), self.file("a.tar.gz"))

        self.assertEqual([path.rpartition("/")[2] for path in self.server.taken], ["a.tar.gz", "a.dsc"])

    def test_refused(self) -> None:
        """What the server refuses is said with its words; the others are sent nevertheless."""
        self.server.answers["a.deb"] = FakeAnswer(409, b"it is there already\n")

        self.assertEqual(self.upload(self.file("a.deb"), self.file("b.deb")), 1)

        lines = self.output.getvalue().splitlines()
        self.assertEqual(lines, ["failed a.deb: 409 it is there already", "ok b.deb: it is published"])
        self.assertEqual(self.errors.getvalue(), "pkgd: 1 of 2 files are not in apt:main stable/main\n")

    def test_unreachable(self) -> None:
        """A server that is not there, or speaks something else, is a failure of the file."""
        for error, reason in (
            (Unreachable("refused"), "no connection: refused"),
            (ConnectionResetError("reset"), "reset"),
            (BadStatusLine("x"), "x"),
        ):
            self.server.answers["a.deb"] = error
            self.assertEqual(self.upload(self.file("a.deb")), 1)
            self.assertEqual(self.output.getvalue().splitlines()[-1], f"failed a.deb: {reason}")

    def test_unreadable(self) -> None:
        """A file that cannot be read is named, before anything is sent."""
        error = self.assertRaises(ConfigError, self.upload, self.file("a.deb"), "nowhere.deb")

        self.assertEqual(error.message, "FILE: nowhere.deb: No such file or directory")
        self.assertEqual(self.server.taken, {})

    def test_hostile_answer(self) -> None:
        """A server does not move the cursor."""
        self.server.answers["a.deb"] = FakeAnswer(201, b"\x1b[2Jgone")

        self.upload(self.file("a.deb"))

        self.assertEqual(self.output.getvalue(), "ok a.deb: ?[2Jgone\n")

    def test_terminal(self) -> None:
        """On a terminal there is a bar on it, and the lines are where they were."""
        self.errors = Terminal()

        self.upload(self.file("a.deb"))

        self.assertEqual(self.output.getvalue(), "ok a.deb: it is published\n")
        self.assertIn("B", self.errors.getvalue())
