"""The server under test: a real process with its own port and state directory, driven the way an operator would.

`Pkgd` is what the tests are for; `DockerRegistry` is the well-known peer that shows whether a test is fair.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import ClassVar

from tests.debian import install

ROOT = Path(__file__).resolve().parents[2]
_CRASH_NOTICE = re.compile(r"Traceback \(most recent call last\)|Unhandled [Ee]rror|panic")
_LAST_LINE = re.compile(r"\s*(?:\w+\.)*\w*(?:Error|Exception|Failure|Exit|Interrupt)\b")
_NOTICE_LINES = 40
_NO_DIRECTORY_FSYNC = """
import os, stat

fsync = os.fsync
os.fsync = lambda fd: None if stat.S_ISDIR(os.fstat(fd).st_mode) else fsync(fd)
"""


class NotReady(Exception):
    """The server did not answer its readiness probe in time, or ended."""


class Server:
    """One server process; subclasses say how it is configured, started and asked whether it is ready."""

    name: ClassVar[str]
    ready_path: ClassVar[str]
    health_path: ClassVar[str]
    stop_status: ClassVar[int] = 0
    lacks: ClassVar[frozenset[str]] = frozenset()
    """The kinds of push that the server is known not to offer."""

    def __init__(self, port: int, state: Path, logs: Path) -> None:
        self.port = port
        self.state = state
        self.log = logs / f"{self.name}.log"
        self._logs = logs
        self._process: subprocess.Popen[bytes] | None = None
        self._read_until = 0
        logs.mkdir(parents=True, exist_ok=True)
        self.log.touch()

    def command(self) -> list[str]:
        """Write the configuration and return the argument list that starts the server."""
        raise NotImplementedError

    def environment(self) -> dict[str, str]:
        """What the server's environment has besides ours."""
        return {}

    @property
    def tree(self) -> Path | None:
        """The OCI tree on disk, for a server whose layout the tests know."""
        return None

    def fresh(self) -> Server:
        """Another server of this kind, with an empty state, on the next port."""
        number = sum(1 for _ in self._logs.glob("fresh-*"))
        directory = self._logs / f"fresh-{number}"
        return type(self)(self.port + 1, directory / "state", directory)

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        assert self._process is not None, "the server has not been started"
        return self._process.pid

    def start(self, patience: float = 20.0) -> float:
        """Start the process; how many seconds it took until it was ready, those without a processor taken off."""
        if self.answers(self.ready_path):
            raise NotReady(f"port {self.port} is taken: another server answers there")
        began = time.monotonic()
        command, environment = self.command(), os.environ | self.environment()
        with self.log.open("ab") as errors, (self._logs / "access.log").open("ab") as access:
            self._process = subprocess.Popen(
                command, stdout=access, stderr=errors, stdin=subprocess.DEVNULL, env=environment
            )
        while not self.answers(self.ready_path):
            if self._process.poll() is not None or time.monotonic() - began > patience:
                raise NotReady(f"{self.name} not ready after {time.monotonic() - began:.1f} s:\n{self._log_tail()}")
            time.sleep(0.01)
        return time.monotonic() - began - waited_for_processor(self.pid)

    def answers(self, path: str) -> bool:
        """Whether a GET of `path` is answered with 200 right now."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def is_running(self) -> bool:
        """Whether the process has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """End the process as a crash does: SIGKILL, nothing runs after it."""
        os.kill(self.pid, signal.SIGKILL)

    def wait(self) -> int:
        """Reap the process and return its exit status."""
        assert self._process is not None, "the server has not been started"
        return self._process.wait(timeout=60)

    def stop(self) -> int:
        """Stop the process gracefully and return its exit status; a server that hangs is killed (-9)."""
        if not self.is_running():
            return self.wait()
        os.kill(self.pid, signal.SIGTERM)
        try:
            return self.wait()
        except subprocess.TimeoutExpired:
            self.kill()
            return self.wait()

    def new_crash_notices(self) -> list[str]:
        """The tracebacks and panics that were logged since the last call, each up to the line that names the error."""
        with self.log.open("rb") as log:
            log.seek(self._read_until)
            text = log.read()
        self._read_until += len(text)
        lines = text.decode("utf-8", "replace").splitlines()
        return [_notice(lines[i : i + _NOTICE_LINES]) for i, line in enumerate(lines) if _CRASH_NOTICE.search(line)]

    def _log_tail(self) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_NOTICE_LINES:])

    def _write_configuration(self, configuration: dict[str, object]) -> Path:
        path = self._logs / f"{self.name}.yaml"
        path.write_text(json.dumps(configuration, indent=1))  # JSON is YAML
        return path


class Pkgd(Server):
    """pkgd from the repository's own environment."""

    name = "pkgd"
    ready_path = "/ready"
    health_path = "/health"
    fsync = True
    min_free = "1MiB"
    limits: ClassVar[dict[str, object]] = {}

    def command(self) -> list[str]:
        """`pkgd serve` on the state directory."""
        configuration = self._write_configuration(self.configuration())
        script = ROOT / ".venv" / "bin" / "pkgd"
        program = [str(script)] if script.exists() else [sys.executable, "-m", "pkgd"]
        return [*program, "serve", "-c", str(configuration)]

    def configuration(self) -> dict[str, object]:
        """Everything at its default unless a test says otherwise."""
        return {
            "version": 1,
            "state_dir": str(self.state),
            "server": {
                "listen": [f"tcp:{self.port}:interface=127.0.0.1"],
                "trusted_proxies": ["127.0.0.1/32"],
                "shutdown": {"delay": "0s", "drain": "10s"},
            },
            "storage": {"filesystem": {"root": "oci", "fsync": self.fsync, "min_free": self.min_free}},
            "auth": {"mode": "none"},
            "limits": self.limits,
            "logging": {"level": "info", "access": {"file": "-"}},
        }

    @property
    def tree(self) -> Path | None:
        """`<state>/oci`, as the design draws it."""
        return self.state / "oci"


class HastyPkgd(Pkgd):
    """pkgd told not to fsync."""

    fsync = False


class ForgetfulPkgd(Pkgd):
    """pkgd that fsyncs files, but no directories: the mistake that is made most often."""

    def environment(self) -> dict[str, str]:
        """Have Python load a module that takes the fsync of directories away."""
        (self._logs / "sitecustomize.py").write_text(_NO_DIRECTORY_FSYNC)
        return {"PYTHONPATH": str(self._logs)}


class DockerRegistry(Server):
    """Debian's docker-registry."""

    name = "docker-registry"
    ready_path = "/v2/"
    health_path = "/"
    stop_status = -signal.SIGTERM
    lacks = frozenset({"monolithic", "untag", "referrer"})

    def command(self) -> list[str]:
        """`docker-registry serve`."""
        if shutil.which("docker-registry") is None:
            install(["docker-registry"])
        return ["docker-registry", "serve", str(self._write_configuration(self.configuration()))]

    def configuration(self) -> dict[str, object]:
        """With deletes allowed."""
        return {
            "version": "0.1",
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {"filesystem": {"rootdirectory": str(self.state)}, "delete": {"enabled": True}},
            "http": {"addr": f"127.0.0.1:{self.port}", "secret": "not a secret"},
        }


SERVERS: dict[str, type[Server]] = {kind.name: kind for kind in (Pkgd, DockerRegistry)}


def waited_for_processor(pid: int) -> float:
    """For how many seconds the process's main thread has been ready to run, but none of the processors was free."""
    try:
        return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text().split()[1]) / 1e9
    except OSError:
        return 0.0


def _notice(lines: list[str]) -> str:
    end = next((i for i, line in enumerate(lines) if i and _LAST_LINE.match(line)), len(lines) - 1)
    return "\n".join(lines[: end + 1])
