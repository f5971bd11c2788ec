"""A pkgd of its own process, through any of its doors, and what it has said."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import bcrypt

from tests.backup.__main__ import free_port
from tests.web.certificates import Pair

__all__ = ["AUTHORIZATION", "DOORS", "Pkgd"]

ROOT = Path(__file__).resolve().parents[2]
USER, PASSWORD = "ci", "correct horse"
AUTHORIZATION = f"Basic {base64.b64encode(f'{USER}:{PASSWORD}'.encode()).decode()}"
_TWISTD = [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", "-n", "--pidfile="]
DOORS: Mapping[str, Sequence[str]] = {
    "pkgd serve": [sys.executable, "-m", "pkgd", "serve"],
    "twistd pkgd": [*_TWISTD, "pkgd"],
    "pkgd.tac": [*_TWISTD, "-y", "pkgd.tac"],
}
# Of a machine that does other things besides, in seconds.
PATIENCE = 60.0


class Pkgd:
    """One server on a directory of its own; it may be started again and again.

    `more` is what its configuration has besides, section by section; `listener` a socket that it gets from its parent;
    `tls` is how clients speak to it, once `speak_tls` has been called.
    """

    def __init__(self, directory: Path, more: Mapping[str, Any] | None = None, door: str = "pkgd serve") -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.port = free_port()
        self.door = door
        self.listener: socket.socket | None = None
        self.tls: ssl.SSLContext | None = None
        self.config = directory / "pkgd.yaml"
        self.log = directory / "pkgd.log"
        self.users = directory / "users"
        self.prefix: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        if not self.users.exists():
            self.users.write_text(f"{USER}:{bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()}\n")
        self.write(more or {})

    def write(self, more: Mapping[str, Any]) -> None:
        """Write the configuration, as a whole."""
        sections: dict[str, Any] = {
            "version": 1,
            "state_dir": str(self.directory / "state"),
            "server": {"listen": [self._endpoint], "shutdown": {"delay": "0s", "drain": "30s"}},
            "storage": {"filesystem": {"min_free": "1MiB"}},
            "auth": {"mode": "basic", "basic_htpasswd_file": str(self.users)},
            "signing": {"keys": {"default": {"algorithm": "ed25519"}}},
            "logging": {"access": {"file": str(self.directory / "access.log")}},
        }
        for name, section in more.items():
            sections[name] = {**sections.get(name, {}), **section}
        self.write_text(json.dumps(sections))

    def write_text(self, text: str) -> None:
        """Write the configuration, whatever it is."""
        new = self.config.with_suffix(".new")
        new.write_text(text)
        new.replace(self.config)

    @property
    def _endpoint(self) -> str:
        return f"tcp:{self.port}:interface=127.0.0.1" if self.listener is None else "systemd:domain=INET:name=http"

    def speak_tls(self, does: bool) -> Mapping[str, Any]:
        """Whether it speaks TLS from its next start on; returns what `server` has to say of that."""
        self.tls = None
        if not does:
            return {}
        pair = Pair(str(self.directory / "tls"))
        self.tls = ssl.create_default_context()
        self.tls.check_hostname, self.tls.verify_mode = False, ssl.CERT_NONE
        return {"tls": {"certificate": pair.certificate, "key": pair.key}}

    def _connection(self) -> http.client.HTTPConnection:
        if self.tls is None:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=self.tls)

    # -- the process --

    def spawn(self) -> None:
        """Start it, and wait for nothing."""
        environment = {**os.environ, "PYTHONPATH": str(ROOT), "PKGD_CONFIG": str(self.config)}
        command = [*self.prefix, *DOORS[self.door]]
        passed: tuple[int, ...] = ()
        if self.listener is not None:
            passed = (self.listener.fileno(),)
            environment |= {"LISTEN_FDS": "1", "LISTEN_FDNAMES": "http"}
            number = passed[0]
            take = "" if number == 3 else f"exec 3<&{number} {number}<&-; "
            command = ["bash", "-c", f'{take}LISTEN_PID=$$ exec "$@"', "bash", *command]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command, cwd=ROOT, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL, pass_fds=passed
            )

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self.spawn()
        self.until(lambda: self.get("/ready") == 200, "ready")

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    @property
    def is_running(self) -> bool:
        """Whether it has not ended."""
        return self._process is not None and self._process.poll() is None

    def wait(self) -> int:
        """Its exit status, when it has ended."""
        assert self._process is not None
        return self._process.wait(PATIENCE)

    def stop(self) -> int:
        """Stop it as an operator does."""
        self.signal(signal.SIGTERM)
        return self.wait()

    def end(self) -> None:
        """It is not needed any more."""
        if self.is_running:
            assert self._process is not None
            self._process.kill()
            self._process.wait()

    # -- what it says --

    def get(self, target: str) -> int | None:
        """The status of a GET on a connection of its own; None where there is no answer."""
        connection = self._connection()
        with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
            connection.request("GET", target, headers={"Authorization": AUTHORIZATION, "User-Agent": "probe"})
            return connection.getresponse().status
        return None

    def text(self, target: str) -> str:
        """The body of a GET."""
        connection = self._connection()
        with contextlib.closing(connection):
            connection.request("GET", target, headers={"Authorization": AUTHORIZATION, "User-Agent": "probe"})
            return connection.getresponse().read().decode("utf-8", "replace")

    def until(self, condition: Any, what: str) -> None:
        """Wait for it."""
        end = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > end or not self.is_running:
                raise AssertionError(f"not {what}: {self.log.read_text()[-2000:]}")
            time.sleep(0.02)

    def lines(self, since: int = 0) -> list[str]:
        """What its log says, from an offset on."""
        with self.log.open("rb") as log:
            log.seek(since)
            return log.read().decode("utf-8", "replace").splitlines()

    @property
    def said(self) -> int:
        """How long the log is by now."""
        return self.log.stat().st_size if self.log.exists() else 0
