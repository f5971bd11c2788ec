"""What systemd is told, read from a socket as it would."""

from __future__ import annotations

import os
import secrets
import socket
import time

from twisted.internet.task import Clock
from twisted.logger import capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from pkgd.sdnotify import ServiceManager, watchdog_interval

URL = "http://127.0.0.1:8080"


class ListeningCase(SynchronousTestCase):
    """A socket, as systemd has one for each service."""

    def listen(self, name: str) -> socket.socket:
        """A socket under this name."""
        listening = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(listening.close)
        listening.setblocking(False)
        listening.bind(name)
        return listening

    def setUp(self) -> None:
        """A socket without a path, and whom to tell it by."""
        name = f"pkgd-{secrets.token_hex(8)}"
        self.heard = self.listen(f"\0{name}")
        self.address = f"@{name}"
        self.clock = Clock()

    def said(self) -> list[list[str]]:
        """What has been said, line by line."""
        messages = []
        while True:
            try:
                messages.append(self.heard.recv(4096).decode().split("\n"))
            except BlockingIOError:
                return messages


class MessageTests(ListeningCase):
    """Each state of the daemon."""

    def test_ready(self) -> None:
        """Who serves is ready, and says where."""
        ServiceManager(self.clock, self.address).ready(URL)

        self.assertEqual(self.said(), [["READY=1", f"STATUS=serves {URL}"]])

    def test_path(self) -> None:
        """The socket may have a path."""
        path = self.mktemp()
        self.heard = self.listen(os.path.relpath(path))

        ServiceManager(self.clock, path).ready(URL)

        self.assertEqual(self.said()[0][0], "READY=1")

    def test_reload(self) -> None:
        """A reload begins, with the time on systemd's clock, and ends."""
        manager = ServiceManager(self.clock, self.address)
        manager.ready(URL)
        before = time.monotonic()
        manager.reloading()
        manager.reloaded()

        _, reloading, reloaded = self.said()

        name, _, stamp = reloading[1].partition("=")
        self.assertEqual((reloading[0], name, reloaded), ("RELOADING=1", "MONOTONIC_USEC", ["READY=1"]))
        self.assertTrue(before - 1 <= int(stamp) / 1e6 <= time.monotonic())

    def test_reload_while_starting(self) -> None:
        """Before the daemon serves, a reload doesn't make systemd believe that it does."""
        manager = ServiceManager(self.clock, self.address)
        manager.reloading()
        manager.reloaded()

        self.assertEqual(self.said(), [])

    def test_reload_while_stopping(self) -> None:
        """Nor does one that ends when the stop has begun."""
        manager = ServiceManager(self.clock, self.address)
        manager.ready(URL)
        manager.reloading()
        manager.stopping(30)
        manager.reloaded()

        self.assertEqual([lines[0] for lines in self.said()], ["READY=1", "RELOADING=1", "STOPPING=1"])

    def test_stopping(self) -> None:
        """A stop may take as long as requests may, and some more."""
        ServiceManager(self.clock, self.address).stopping(300)

        extension = "EXTEND_TIMEOUT_USEC=330000000"
        self.assertEqual(self.said(), [["STOPPING=1", "STATUS=stops; requests finish", extension]])


class WatchdogTests(ListeningCase):
    """Signs of life."""

    def test_alive(self) -> None:
        """From readiness to the end of the process, the stop included, and only as the reactor turns."""
        manager = ServiceManager(self.clock, self.address, 15.0)
        self.clock.advance(100)
        self.assertEqual(self.said(), [])
        manager.ready(URL)
        self.said()
        self.clock.advance(14.9)
        self.assertEqual(self.said(), [])
        self.clock.pump([0.1, 15])
        self.assertEqual(self.said(), [["WATCHDOG=1"]] * 2)
        manager.stopping(30)
        self.said()
        self.clock.advance(15)
        self.assertEqual(self.said(), [["WATCHDOG=1"]])

    def test_not_wanted(self) -> None:
        """Nobody who wants none gets any."""
        ServiceManager(self.clock, self.address).ready(URL)

        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_interval(self) -> None:
        """Half of systemd's patience; for us, or for the parent of the single executable, or for whoever it is."""
        for meant in ({}, {"WATCHDOG_PID": "7"}, {"WATCHDOG_PID": "8"}):
            self.assertEqual(watchdog_interval({"WATCHDOG_USEC": "60000000", **meant}, (7, 8)), 30.0)

    def test_no_interval(self) -> None:
        """None where nothing is said, where another process is meant, and where it cannot be understood."""
        for usec, pid in (("60000000", "9"), ("0", "7"), ("-1", "7"), ("soon", "7"), ("60000000", "me"), ("", "7")):
            self.assertIsNone(watchdog_interval({"WATCHDOG_USEC": usec, "WATCHDOG_PID": pid}, (7, 8)), (usec, pid))
        self.assertIsNone(watchdog_interval({}, (7, 8)))


class NobodyTests(ListeningCase):
    """Where systemd is not."""

    def test_nobody(self) -> None:
        """Without an address nothing is said, and nothing complained about."""
        manager = ServiceManager(self.clock, None)
        with capturedLogs() as events:
            manager.ready(URL)
            manager.stopping(30)

        self.assertEqual((self.said(), events), ([], []))

    def test_gone(self) -> None:
        """An address where nobody listens, or that is no local socket, is logged, and that is all."""
        for address in (os.path.abspath("absent"), "vsock:2:1234", "@" + "x" * 200, ""):
            with capturedLogs() as events:
                ServiceManager(self.clock, address).ready(URL)
            self.assertEqual([event["what"] for event in events], ["READY=1"], address)

    def test_full(self) -> None:
        """A service manager that takes nothing any more holds the daemon up for a moment only."""
        manager = ServiceManager(self.clock, self.address)
        with capturedLogs() as events:
            for _ in range(1000):
                manager.stopping(30)
                if events:
                    break

        self.assertEqual([event["what"] for event in events], ["STOPPING=1"])
