"""pkgd as a mirror: a process of its own, whose configuration the cases write, and what it has left on disk."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.crash.server import Server

LIMITS = {"connect": 1.5, "tls": 1.5, "first_byte": 1.3, "idle": 1.3, "rate_grace": 1.8}
"""Short ones, of `pkgd.outbound.settings.Limits`."""
PATIENT = {"connect": 5.0, "tls": 5.0, "first_byte": 8.0, "idle": 8.0}
"""For mirrors that wait for other mirrors, and for cases that are about load."""

Settings = dict[str, Any]


@dataclass(frozen=True)
class Options:
    """How a mirror differs from the others, besides its settings."""

    server: Settings = field(default_factory=dict)
    """More keys of `server`."""
    environment: dict[str, str] = field(default_factory=dict)
    """What it sees besides the suite's own environment."""
    limits: dict[str, float] = field(default_factory=lambda: LIMITS)
    """How patient it is with upstreams."""
    wrapper: tuple[str, ...] = ()
    """A command that runs it, such as strace."""
    port: int | None = None
    """Its port, if that must be known beforehand."""
    disk: int | None = None
    """The size of a disk of its own, in MiB."""
    min_free: int = 1
    """What must stay free of its disk, in MiB."""


class Mirror(Server):
    """One pkgd; `settings` are those of `mirror`, and it is enabled unless they say otherwise."""

    name = "pkgd"
    ready_path = "/ready"
    health_path = "/health"

    def __init__(self, port: int, folder: Path, settings: Settings, options: Options) -> None:
        super().__init__(port, folder / "state", folder / "logs")
        self.settings: Settings = {
            "enableProxy": True,
            "fallback": [],
            "tag_ttl": "0s",
            "negative_ttl": "0s",
            **settings,
        }
        self._options = options

    def command(self) -> list[str]:
        """The daemon with short limits, and the access log in a file of its own."""
        configuration = self._write_configuration(
            {
                "version": 1,
                "state_dir": str(self.state),
                "server": {
                    "listen": [f"tcp:{self.port}:interface=127.0.0.1"],
                    "shutdown": {"delay": "0s", "drain": "10s"},
                    **self._options.server,
                },
                "storage": {"filesystem": {"root": "oci", "fsync": False, "min_free": f"{self._options.min_free}MiB"}},
                "auth": {"mode": "none"},
                "mirror": self.settings,
                "logging": {"level": "info", "access": {"file": "-"}},
            }
        )
        launch = [sys.executable, "-m", "tests.upstream.launch", "--config", str(configuration)]
        return [*self._options.wrapper, *launch, "--limits", json.dumps(self._options.limits)]

    def environment(self) -> dict[str, str]:
        """What the case wants the daemon to see."""
        return self._options.environment

    @property
    def tree(self) -> Path:
        """The OCI tree on disk."""
        return self.state / "oci"

    def log_text(self) -> str:
        """All that it has logged so far."""
        return self.log.read_text(errors="replace")

    def access_text(self) -> str:
        """Its access log."""
        return (self._logs / "access.log").read_text(errors="replace")
