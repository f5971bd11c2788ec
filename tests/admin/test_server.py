"""The daemon's end of the admin socket."""

from __future__ import annotations

import json
import os
import socket
import stat
from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase, TestCase

from pkgd.admin.lines import SOCKET
from pkgd.admin.server import AdminSocket
from pkgd.errors import NoSpace
from pkgd.progress import Progress
from pkgd.sharing import Tasks


class SocketCase(SynchronousTestCase):
    """A socket whose jobs are the test's."""

    def setUp(self) -> None:
        """Make it."""
        self.reactor = MemoryReactorClock()
        self.waiting: Deferred[None] = Deferred()
        self.progress: Progress | None = None
        self.is_stopping = False
        self.tasks = Tasks()
        jobs = {"count": self.count, "full": self.full, "wait": self.wait, "bug": self.bug}
        self.socket = AdminSocket(self.reactor, self.mktemp(), jobs, self.tasks, lambda: self.is_stopping)

    async def count(self, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """Counts as far as it is told to."""
        progress.begin("counting", arguments["to"])
        for _ in range(arguments["to"]):
            self.reactor.advance(0.06)
            progress.advance()
        return {"counted": arguments["to"]}

    async def full(self, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """Fails as the machine does."""
        raise NoSpace("x")

    async def bug(self, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """Fails as it never should."""
        raise ValueError("a bug")

    async def wait(self, arguments: Mapping[str, Any], progress: Progress) -> Mapping[str, Any]:
        """Takes its time."""
        self.progress = progress
        await self.waiting
        return {}

    def connect(self) -> Any:
        """A connection."""
        self.socket.listen()
        protocol = self.reactor.unixServers[-1][1].buildProtocol(None)
        protocol.makeConnection(StringTransport())
        return protocol

    def asking(self, line: bytes) -> list[Any]:
        """All that is answered."""
        protocol = self.connect()
        protocol.dataReceived(line + b"\n")
        self.assertTrue(protocol.transport.disconnecting)
        return [json.loads(one) for one in protocol.transport.value().splitlines()]


class CommandTests(SocketCase):
    """A command, and what it is answered with."""

    def test_result(self) -> None:
        """Progress is told now and again, then the result, and the connection is closed."""
        said = self.asking(b'{"command": "count", "arguments": {"to": 4}}')

        done = [one["progress"]["done"] for one in said[:-1]]
        self.assertEqual((done, said[-1]), ([0, 2, 4], {"result": {"counted": 4}}))

    def test_refusal(self) -> None:
        """What cannot be done, or is no command, is one sentence."""
        self.assertEqual(self.asking(b'{"command": "full"}'), [{"error": NoSpace("x").message}])
        for line in (b"x", b'{"command": "none"}', b"\xff"):
            self.assertEqual([list(one) for one in self.asking(line)], [["error"]])

    def test_bug(self) -> None:
        """A bug is told without its details, which are in the log."""
        self.assertNotIn("a bug in", str(self.asking(b'{"command": "bug"}')[0]["error"].replace("a bug in pkgd", "")))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_stopping(self) -> None:
        """A daemon that stops begins nothing."""
        self.is_stopping = True

        self.assertEqual(
            self.asking(b'{"command": "count", "arguments": {"to": 1}}')[0], {"error": "the pkgd that runs is stopping"}
        )

    def test_who_leaves(self) -> None:
        """Whoever closes the connection gives up: the job is told, and its result goes nowhere."""
        protocol = self.connect()
        protocol.dataReceived(b'{"command": "wait"}\n')
        assert self.progress is not None
        self.assertFalse(self.progress.is_over())

        protocol.connectionLost()

        self.assertTrue(self.progress.is_over())
        self.waiting.callback(None)
        self.assertEqual(protocol.transport.value(), b"")

    def test_stop_is_waited_for(self) -> None:
        """A job is told of the stop, which waits for its end."""
        protocol = self.connect()
        protocol.dataReceived(b'{"command": "wait"}\n')
        self.is_stopping = True
        finished = Deferred.fromCoroutine(self.tasks.finished())
        assert self.progress is not None
        self.assertTrue(self.progress.is_over())
        self.assertNoResult(finished)

        self.waiting.callback(None)

        self.successResultOf(finished)

    def test_endless_line(self) -> None:
        """A line without an end is no command."""
        protocol = self.connect()

        protocol.dataReceived(b"x" * 100_000)

        self.assertTrue(protocol.transport.disconnecting)


class FileTests(TestCase):
    """The socket's file."""

    def socket_at(self, directory: str) -> AdminSocket:
        """A socket on the real reactor."""
        return AdminSocket(reactor, directory, {}, Tasks(), lambda: False)

    async def test_file(self) -> None:
        """It is for its owner alone, replaces one that was left behind, and is gone when it is closed."""
        directory = self.mktemp()
        os.makedirs(directory)
        path = os.path.join(directory, SOCKET)
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(path)
        admin = self.socket_at(directory)

        admin.listen()

        self.assertEqual(stat.S_IMODE(os.stat(path).st_mode), 0o600)
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(path)
        await admin.close()
        self.assertEqual(os.listdir(directory), [])

    async def test_file_that_cannot_be_removed(self) -> None:
        """As on a disk that takes no more, or where somebody has been before us: that doesn't hold up the stop."""
        directory = self.mktemp()
        os.makedirs(directory)
        admin = self.socket_at(directory)
        admin.listen()
        os.unlink(os.path.join(directory, SOCKET))

        with capturedLogs() as logs:
            await admin.close()

        self.assertIn("could not be removed", logs[-1]["log_format"])

    def test_long_path(self) -> None:
        """Where the path is too long there is no socket, and the log says why."""
        with capturedLogs() as logs:
            self.socket_at("/tmp/" + "x" * 120).listen()

        self.assertIn("longer than", logs[0]["log_format"])

    def test_no_directory(self) -> None:
        """What else hinders it is no reason not to run, either."""
        with capturedLogs() as logs:
            self.socket_at(self.mktemp()).listen()

        self.assertIn("there is no admin socket", logs[-1]["log_format"])
