"""The command's end of the admin socket."""

from __future__ import annotations

import os
import socket
import threading

from twisted.trial.unittest import SynchronousTestCase

from pkgd.admin.client import ask
from pkgd.admin.lines import SOCKET
from pkgd.errors import CommandFailed


class Recorder:
    """Implements `Progress`: notes what it is told."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def begin(self, what: str, total: int) -> None:
        """Noted."""
        self.told.append((what, total))

    def advance(self, count: int = 1) -> None:
        """Noted."""
        self.told.append(count)

    def is_over(self) -> bool:
        """Never."""
        return False


class ClientTests(SynchronousTestCase):
    """What is asked, and what comes of the answer."""

    def answered(self, answer: bytes, progress: Recorder) -> object:
        """The result, where the daemon answers like this."""
        directory = os.path.relpath(self.mktemp())
        os.makedirs(directory)
        with socket.socket(socket.AF_UNIX) as listening:
            listening.bind(os.path.join(directory, SOCKET))
            listening.listen()

            def serve() -> None:
                connection, _ = listening.accept()
                with connection:
                    self.asked = connection.recv(1000)
                    connection.sendall(answer)

            thread = threading.Thread(target=serve)
            thread.start()
            try:
                return ask(directory, "gc", {"apply": True}, progress)
            finally:
                thread.join()

    def test_result(self) -> None:
        """Progress is passed on in steps; the result is returned."""
        progress = Recorder()
        steps = [("a", 0, 5), ("a", 2, 5), ("a", 5, 5), ("b", 1, 0)]
        lines = [
            f'{{"progress": {{"what": "{what}", "done": {done}, "total": {total}}}}}\n' for what, done, total in steps
        ]

        result = self.answered("".join(lines).encode() + b'{"result": {"x": 1}}\n', progress)

        self.assertEqual(result, {"x": 1})
        self.assertEqual(progress.told, [("a", 5), 0, 2, 3, ("b", 0), 1])
        self.assertEqual(self.asked, b'{"command": "gc", "arguments": {"apply": true}}\n')

    def test_error(self) -> None:
        """The daemon's sentence is the user's."""
        error = self.assertRaises(CommandFailed, self.answered, b'{"error": "no"}\n', Recorder())

        self.assertEqual(error.message, "no")

    def test_broken_off(self) -> None:
        """A daemon that goes away says nothing; the user is told."""
        for answer in (b"", b'{"progress": {"what": "a", "done": 1, "total": 2}}\n', b'{"resu'):
            self.assertRaises(CommandFailed, self.answered, answer, Recorder())

    def test_nobody(self) -> None:
        """Without a socket, and with a path that none can have, there is a sentence, too."""
        self.assertRaises(CommandFailed, ask, self.mktemp(), "gc", {}, Recorder())
        self.assertRaises(CommandFailed, ask, "x" * 200, "gc", {}, Recorder())
