"""The server under test as a process: pkgd, or Debian's docker-registry as a stand-in to try the suite itself."""

from __future__ import annotations

import json
import re
import shutil
import sys
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from tests.live.certificates import Certificates
from tests.live.registry import Endpoint, Registry
from tests.live.tools import Daemon, wait_for

REPOSITORY_ROOT = Path(__file__).resolve().parents[2]


class Unclean(Exception):
    """The server did not end as it must."""


@dataclass(frozen=True)
class Setup:
    """How one server process is to run."""

    name: str
    host: str
    port: int
    certificates: Certificates | None = None
    tree: Path | None = None
    """An existing OCI tree to serve, instead of an empty one in the state folder."""
    behind_proxy: bool = False
    own_names: tuple[str, ...] = ()
    """What else the server is called: a request that names one of these means its own repositories."""
    mirror: dict[str, Any] | None = None
    """pkgd's settings as a mirror, in the words of its configuration."""
    external_url: str | None = None
    """What pkgd is told of how clients reach it."""
    more: dict[str, Any] | None = None
    """Further sections of pkgd's configuration, and others for some that it has otherwise."""

    @property
    def endpoint(self) -> Endpoint:
        """Where clients reach the server."""
        return Endpoint(self.host, self.port, self.certificates)


class LogTail:
    """What a server logs from now on."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._start = log.stat().st_size

    def wait_for(self, what: str, pattern: str, count: int = 1) -> list[str]:
        """The lines that match, as soon as there are so many: a log may be written with some delay."""
        found: list[str] = []

        def enough() -> bool:
            found[:] = [line for line in self.lines() if re.search(pattern, line)]
            return len(found) >= count

        wait_for(f"{count} lines in the server's log that show {what} ({pattern})", enough, seconds=10)
        return found

    def lines(self) -> list[str]:
        """All of it."""
        with self._log.open("rb") as log:
            log.seek(self._start)
            return log.read().decode(errors="replace").splitlines()


@dataclass
class Server(ABC):
    """A registry process of one kind."""

    program: ClassVar[str]
    ready_path: ClassVar[str]
    setup: Setup
    folder: Path
    _daemon: Daemon | None = None

    @abstractmethod
    def command(self) -> list[str]:
        """Write the configuration and return the command that runs the server in the foreground."""

    def start(self) -> None:
        """Start the process and return once it answers."""
        self.folder.mkdir(parents=True)
        registry = Registry(self.setup.endpoint)
        self._daemon = Daemon(self.setup.name, self.command(), self.log)
        self._daemon.wait_until(lambda: registry.answers(self.ready_path), seconds=60)

    def stop(self) -> None:
        """End the process; it must end by itself, cleanly, and have written no traceback."""
        status = self._daemon.stop() if self._daemon else None
        if status != 0:
            raise Unclean(f"{self.setup.name}: exit status {status} after SIGTERM\n{self.last_lines()}")
        self._look_for_tracebacks()

    def _look_for_tracebacks(self) -> None:
        lines = self.log.read_text(errors="replace").splitlines()
        for number, line in enumerate(lines):
            if "Traceback (most recent call last)" in line:
                raise Unclean(f"{self.setup.name}: a traceback\n" + "\n".join(lines[max(number - 3, 0) : number + 25]))

    def remove(self) -> None:
        """End the process if it still runs, and delete all its files."""
        if self._daemon:
            self._daemon.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def log(self) -> Path:
        """Everything the server prints, access log included."""
        return self.folder / "log"

    def last_lines(self) -> str:
        """The end of the server's log."""
        return self._daemon.last_lines() if self._daemon else ""


def pkgd_program() -> list[str]:
    """The beginning of every command of pkgd's, from this checkout, where the suite is run."""
    return [sys.executable, "-m", "pkgd"]


class Pkgd(Server):
    """pkgd from this checkout."""

    program = "pkgd"
    ready_path = "/ready"

    def command(self) -> list[str]:
        """Write the configuration (JSON is YAML) and return `pkgd serve`."""
        self.configuration.write_text(json.dumps(self._settings(), indent=1))
        return [*pkgd_program(), "serve", "-c", str(self.configuration)]

    @property
    def configuration(self) -> Path:
        """The configuration file."""
        return self.folder / "pkgd.yaml"

    def _settings(self) -> dict[str, Any]:
        setup = self.setup
        server: dict[str, Any] = {"listen": [f"tcp:{setup.port}:interface={setup.host}"]}
        if setup.certificates:
            server["tls"] = {"certificate": str(setup.certificates.chain), "key": str(setup.certificates.key)}
        if setup.behind_proxy:
            server["trusted_proxies"] = ["127.0.0.1/32"]
        if setup.own_names:
            server["own_names"] = list(setup.own_names)
        if setup.external_url:
            server["external_url"] = setup.external_url
        mirror = {"mirror": setup.mirror} if setup.mirror else {}
        return {
            "version": 1,
            "state_dir": str(self.folder / "state"),
            "server": server,
            "storage": {"filesystem": {"root": str(setup.tree or "oci")}},
            "auth": {"mode": "none"},
            "logging": {"level": "info", "access": {"file": "-"}},
            **mirror,
            **(setup.more or {}),
        }


class DockerRegistry(Server):
    """Debian's docker-registry: it knows nothing of referrers, of mirroring, of pkgd's trees and of its log."""

    program = "docker-registry"
    ready_path = "/v2/"

    def command(self) -> list[str]:
        """Write the configuration and return the command."""
        configuration = self.folder / "config.yml"
        configuration.write_text(json.dumps(self.settings()))
        return ["docker-registry", "serve", str(configuration)]

    def settings(self) -> dict[str, Any]:
        """The configuration."""
        setup = self.setup
        http: dict[str, Any] = {"addr": f"{setup.host}:{setup.port}", "relativeurls": True}
        if setup.certificates:
            http["tls"] = {"certificate": str(setup.certificates.chain), "key": str(setup.certificates.key)}
        root = str(setup.tree or self.folder / "state")
        storage = {"filesystem": {"rootdirectory": root}, "delete": {"enabled": True}}
        return {"version": 0.1, "log": {"level": "warn"}, "storage": storage, "http": http}

    def stop(self) -> None:
        """End the process; this one ends by the signal itself."""
        if self._daemon:
            self._daemon.stop()


KINDS: dict[str, type[Server]] = {kind.program: kind for kind in (Pkgd, DockerRegistry)}
