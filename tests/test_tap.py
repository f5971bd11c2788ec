"""The three doors: one service behind them."""

from __future__ import annotations

import gc
import os
import secrets
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.application.service import IServiceMaker
from twisted.plugin import IPlugin, getPlugins
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from pkgd.daemon import Daemon
from pkgd.errors import ConfigError
from pkgd.signals import Signals
from pkgd.tap import Maker, Options, makeService
from tests.loop import Loop

ROOT = Path(__file__).parent.parent
LOAD = """
import runpy
from twisted.application.service import IServiceCollection
(service,) = IServiceCollection(runpy.run_path("pkgd.tac")["application"])
(daemon,) = service
print(type(daemon).__module__, daemon.name)
"""


class OptionsTests(SynchronousTestCase):
    """What can be said on the command line."""

    def test_config(self) -> None:
        """The configuration file, in short or in full; none is no error."""
        for arguments, expected in (([], None), (["-c", "a.yaml"], "a.yaml"), (["--config=b.yaml"], "b.yaml")):
            options = Options()
            options.parseOptions(arguments)
            self.assertEqual(options["config"], expected)

    def test_unknown(self) -> None:
        """Anything else is refused."""
        self.assertRaises(UsageError, Options().parseOptions, ["--port=1"])


class ServiceTests(SynchronousTestCase):
    """`makeService`."""

    def make(self, text: str) -> Daemon:
        """The service for a configuration."""
        path = self.mktemp()
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        options = Options()
        options.parseOptions(["-c", path])
        self.loop = Loop()
        self.handlers: dict[int, Any] = {}
        return makeService(options, loop=self.loop, signals=Signals(self.handlers.__setitem__))

    def signal(self, number: int) -> None:
        """The process gets a signal."""
        self.handlers[number](number, None)
        self.loop.until(lambda: self.loop.is_quiet)

    def test_opens_nothing(self) -> None:
        """To make the service is not to start it: nothing is made, and nothing listened on."""
        state = self.mktemp()

        service = self.make(f"state_dir: {os.path.abspath(state)}")

        self.assertEqual((service.running, service.name), (0, "pkgd"))
        self.assertEqual((os.path.exists(state), self.loop.ports), (False, []))

    def test_refused(self) -> None:
        """A configuration that cannot be used is refused at once, with its key."""
        error = self.assertRaises(ConfigError, self.make, "storrage: {}")

        self.assertEqual((error.path, error.suggestion), ("storrage", "storage"))

    def test_service_manager(self) -> None:
        """systemd hears of the start, the reload and the stop of what it has started."""
        name = f"pkgd-{secrets.token_hex(8)}"
        heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(heard.close)
        heard.bind(f"\0{name}")
        heard.settimeout(10)
        self.patch(os, "environ", {"NOTIFY_SOCKET": f"@{name}", "WATCHDOG_USEC": "20000000"})
        service = self.make(f"state_dir: {os.path.abspath(self.mktemp())}\nserver: {{shutdown: {{delay: 5s}}}}")
        service.startService()
        self.addCleanup(gc.unfreeze)
        ready = self.hear(heard)
        self.loop.advance(10)
        alive = self.hear(heard)
        self.run_hooks()
        self.signal(signal.SIGHUP)
        reloading, reloaded = self.hear(heard), self.hear(heard)
        stopped = service.stopService()
        stopping = self.hear(heard)
        self.loop.advance(60)
        self.loop.until(lambda: stopped.called)

        said = [one[0] for one in (ready, alive, reloading, reloaded, stopping)]
        self.assertEqual(said, ["READY=1", "WATCHDOG=1", "RELOADING=1", "READY=1", "STOPPING=1"])
        self.assertIn("EXTEND_TIMEOUT_USEC=65000000", stopping)

    def hear(self, heard: socket.socket) -> list[str]:
        """The next message, as lines, once the daemon has come that far."""
        self.loop.until(lambda: select.select([heard], [], [], 0)[0])
        return heard.recv(4096).decode().split("\n")

    def run_hooks(self) -> None:
        """The reactor runs from here on."""
        for call, arguments, keywords in self.loop.whenRunningHooks:
            call(*arguments, **keywords)

    def test_second_signal(self) -> None:
        """A second signal, a while after the first, ends the wait for requests; the stop goes in order."""
        service = self.make(f"state_dir: {os.path.abspath(self.mktemp())}\nserver: {{shutdown: {{delay: 1h}}}}")
        service.startService()
        self.addCleanup(gc.unfreeze)
        self.run_hooks()
        stopped = service.stopService()
        self.signal(signal.SIGTERM)
        self.loop.advance(5)
        self.assertNoResult(stopped)

        self.signal(signal.SIGTERM)
        self.loop.until(lambda: stopped.called)

        self.successResultOf(stopped)


class DoorTests(SynchronousTestCase):
    """How it is found."""

    def test_maker(self) -> None:
        """The maker is what twistd expects of a plug-in."""
        maker = Maker()

        for interface in (IPlugin, IServiceMaker):
            self.assertTrue(verifyObject(interface, maker))
        self.assertEqual((maker.tapname, maker.options), ("pkgd", Options))

    def test_plugin(self) -> None:
        """twistd finds it, once."""
        found = [one for one in getPlugins(IServiceMaker) if one.tapname == "pkgd"]

        self.assertEqual([type(one) for one in found], [Maker])

    def test_tac(self) -> None:
        """`pkgd.tac` holds the same service."""
        run = subprocess.run([sys.executable, "-c", LOAD], cwd=ROOT, capture_output=True, text=True, check=True)

        self.assertEqual(run.stdout, "pkgd.daemon pkgd\n")

    def test_sentence(self) -> None:
        """A configuration that cannot be used is one sentence at both doors of twistd, and the exit status is 1."""
        path = self.mktemp()
        with open(path, "w", encoding="ascii") as file:
            file.write("storrage: {}")
        twistd = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
        for arguments in (["pkgd", "-c", os.path.abspath(path)], ["-y", "pkgd.tac"]):
            run = subprocess.run(
                [*twistd, *arguments],
                cwd=ROOT,
                env={**os.environ, "PKGD_CONFIG": os.path.abspath(path)},
                capture_output=True,
                text=True,
                check=False,
            )
            self.assertEqual(run.returncode, 1, arguments)
            self.assertNotIn("Traceback", run.stdout + run.stderr)
            self.assertIn("pkgd: storrage: unknown key", run.stderr)
