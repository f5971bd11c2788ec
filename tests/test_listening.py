"""Ports, over a socket in the file system."""

from __future__ import annotations

import os
import socket
import tempfile
from typing import Any

from twisted.internet import unix
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import SynchronousTestCase

from pkgd.errors import ConfigError
from pkgd.listening import Listening
from pkgd.web.channel import Channel
from tests.loop import Loop
from tests.web.fixtures import Edge


class UnixLoop(Loop):
    """A loop that really listens, and reads when it is told to."""

    def listenUNIX(self, address: str, factory: Any, *_: Any, **__: Any) -> Any:
        """Listen."""
        port = unix.Port(address, factory, reactor=self)
        port.startListening()
        return port


class ListeningTests(SynchronousTestCase):
    """`Listening`."""

    def setUp(self) -> None:
        """A loop, and a path that is short enough for a socket."""
        self.loop = UnixLoop()
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.path = os.path.join(directory.name, "s")

    def connect(self) -> socket.socket:
        """A client, which the system has connected."""
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(self.path)
        return client

    def test_last(self) -> None:
        """Whoever waits to be accepted when the port is closed is accepted."""
        made: list[Protocol] = []

        class Noted(Protocol):
            def connectionMade(self) -> None:
                made.append(self)

        factory = Factory.forProtocol(Noted)
        listening = Listening(self.loop)
        listening.open([f"unix:{self.path}"], factory)
        clients = [self.connect() for _ in range(5)]

        closed = Deferred.fromCoroutine(listening.close())
        self.loop.advance(0)

        self.successResultOf(closed)
        self.assertEqual(len(made), len(clients))
        self.assertRaises(OSError, self.connect)

    def test_unix(self) -> None:
        """A socket in the file system serves as well as any other, though its clients have no address."""
        edge = Edge(self)
        listening = Listening(self.loop)
        listening.open([f"unix:{self.path}"], edge.site)
        client = self.connect()
        (port,) = self.loop.getReaders()

        port.doRead()
        (channel,) = edge.site._channels
        client.send(b"GET /v2/ HTTP/1.1\r\nHost: a\r\n\r\n")
        assert isinstance(channel, Channel)
        transport: Any = channel.transport
        transport.doRead()
        edge.run()
        transport.doWrite()

        self.assertIn(b"HTTP/1.1 200 OK", client.recv(4096))
        self.assertEqual(channel.peer, "-")

    def test_refused(self) -> None:
        """What cannot be listened to is an error of the configuration."""
        for endpoint in ("unix:/nowhere/s", "carrier-pigeon:1"):
            error = self.assertRaises(ConfigError, Listening(self.loop).open, [endpoint], Factory())
            self.assertEqual(error.path, "server.listen")
