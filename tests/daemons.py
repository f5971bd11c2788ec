"""Daemons in memory, on a state directory of the test's: their clock is the test's own, and so is the disk."""

from __future__ import annotations

import gc
import os
import resource
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from pkgd.config import parse
from pkgd.daemon import Daemon
from pkgd.web.channel import GRACE_SECONDS
from pkgd.web.site import STOP_TICK, Site
from tests.loop import Loop
from tests.web.content import (
    BLOB,
    BLOB_DIGEST,
    CONFIG,
    CONFIG_DIGEST,
    PLAIN,
    digest_of,
)
from tests.web.disk import RecordingFileSystem
from tests.web.memory import Client
from tests.web.messages import Response

__all__ = ["BLOB_TARGET", "NAME", "PAUSES", "UPLOADS", "DaemonCase"]

CONFIGURATION = """
version: 1
state_dir: state
server: {{listen: ["tcp:5000:interface=127.0.0.1"], shutdown: {{delay: {delay}, drain: 30s}}, tls: {tls}}}
storage: {{filesystem: {{fsync: false, min_free: 1}}}}
logging: {{access: {{file: access.log}}, audit: {{file: audit.log}}}}
auth: {auth}
signing: {{keys: {{default: {{algorithm: ed25519}}}}}}
"""
# How many jobs recur.
PAUSES = 14
NAME = "team/app"
BLOB_TARGET = f"/v2/{NAME}/blobs/{BLOB_DIGEST}"
UPLOADS = f"/v2/{NAME}/blobs/uploads/"


class DaemonCase(SynchronousTestCase):
    """A state directory, and daemons on it."""

    def setUp(self) -> None:
        """Make the directory; what a daemon changes of the process is undone in the end."""
        self.directory = self.mktemp()
        os.makedirs(self.directory)
        self.fs = RecordingFileSystem()
        self.urls: list[str] = []
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        self.addCleanup(resource.setrlimit, resource.RLIMIT_NOFILE, limits)
        self.addCleanup(gc.unfreeze)

    def path(self, name: str) -> str:
        """A path in the directory."""
        return os.path.join(self.directory, name)

    def make(self, delay: str = "0s", tls: str = "{}", auth: str = "{mode: none}") -> Daemon:
        """A daemon that has not been started, on a loop of its own."""
        self.loop = Loop()
        self.loop.advance(1_750_000_000)
        config = parse(CONFIGURATION.format(delay=delay, tls=tls, auth=auth), {}, os.path.abspath(self.directory))
        loop = self.loop
        return Daemon(loop, config, self.fs, self.urls.append, lambda: loop.events.append("stopping"))

    def start(self, delay: str = "0s", tls: str = "{}") -> Daemon:
        """A daemon that serves; it is stopped in the end."""
        daemon = self.make(delay, tls)
        daemon.startService()
        self.loop.until(lambda: self.urls)
        self.urls.clear()
        self.addCleanup(self.stop, daemon)
        return daemon

    def stop(self, daemon: Daemon) -> None:
        """Stop a daemon, unless it has been."""
        if daemon.running:
            stopped = daemon.stopService()
            self.loop.advance(60)
            self.finish(stopped)

    def finish(self, stopped: Deferred[None]) -> None:
        """Wait for the end of a stop, and as long as connections may have a request on its way."""
        done: list[object] = []
        stopped.addBoth(done.append)
        self.loop.advance(GRACE_SECONDS + STOP_TICK)
        self.loop.until(lambda: done)
        self.assertEqual(done, [None])

    @property
    def site(self) -> Any:
        """What the daemon's port is for."""
        return self.loop.ports[0][1]

    def connect(self) -> Client:
        """A connection."""
        assert isinstance(self.site, Site)
        channel = self.site.buildProtocol(None)
        assert channel is not None
        return Client(self.loop, channel)

    def call(self, method: str, target: str, body: bytes = b"") -> Response:
        """One request, and its answer."""
        client = self.connect()
        client.request(method, target, {}, body)
        self.loop.until(lambda: client.answers(method))
        answer = client.answers(method)[0]
        client.lose()
        return answer

    def push(self) -> None:
        """Push an image."""
        for data in (BLOB, CONFIG):
            self.assertEqual(self.call("POST", f"{UPLOADS}?digest={digest_of(data)}", data).status, 201)
        self.assertEqual(self.call("PUT", f"/v2/{NAME}/manifests/latest", PLAIN).status, 201)

    def pulls(self) -> list[int]:
        """The statuses of a pull."""
        targets = (f"/v2/{NAME}/manifests/latest", BLOB_TARGET, f"/v2/{NAME}/blobs/{CONFIG_DIGEST}")
        return [self.call("GET", target).status for target in targets]

    def pushes(self) -> list[int]:
        """The statuses of a push of something new."""
        return [
            self.call("POST", UPLOADS).status,
            self.call("POST", f"{UPLOADS}?digest={digest_of(b'new')}", b"new").status,
            self.call("PUT", f"/v2/{NAME}/manifests/new", PLAIN).status,
        ]
