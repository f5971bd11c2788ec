"""pkgd with package repositories, which can be killed and started again."""

from __future__ import annotations

import os
import sys
from typing import Any

from tests.live.server import Pkgd, Setup
from tests.live.tools import Daemon
from tests.repositories.web import Web

_BOTH = ["main", "contrib"]
REPOSITORIES: dict[str, Any] = {
    "apt": [
        {"name": "main", "suites": [{"codename": "stable"}]},
        {
            "name": "full",
            "compression": ["gz", "zst", "xz"],
            "valid_for": "7d",
            "suites": [
                {"codename": "stable", "components": _BOTH, "architectures": ["amd64"], "origin": "Tests"},
                {"codename": "testing", "components": _BOTH, "not_automatic": True, "but_automatic_upgrades": True},
            ],
        },
        *(
            {"name": f"only-{form}", "compression": [form], "suites": [{"codename": "s"}]}
            for form in ("gz", "zst", "xz")
        ),
    ],
    "rpm": [{"name": "main"}, {"name": "team/el9", "compression": "zst"}],
}


class PackageServer(Pkgd):
    """pkgd from this checkout, with the built-in repositories or with many."""

    built_in = False

    def command(self) -> list[str]:
        """As pkgd's, but always from this checkout."""
        return [sys.executable, "-m", "pkgd", *super().command()[-3:]]

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        return settings if self.built_in else {**settings, "repositories": REPOSITORIES}

    @property
    def web(self) -> Web:
        """The server, by HTTP."""
        return Web(self.setup.host, self.setup.port)

    def kill(self) -> None:
        """End the process as a crash does."""
        assert self._daemon is not None
        self._daemon.kill()

    def start_again(self) -> None:
        """Start the process with the state that is there."""
        self._daemon = Daemon(self.setup.name, self.command(), self.log)
        self._daemon.wait_until(self.answers, seconds=30)

    def answers(self) -> bool:
        """Whether it is ready."""
        try:
            return self.web.call("GET", "/ready").status == 200
        except OSError:
            return False


class BuiltIn(PackageServer):
    """pkgd without a word about repositories."""

    built_in = True


def setup(name: str, port: int) -> Setup:
    """How a server of this suite runs."""
    return Setup(name, "127.0.0.1", port)


def free_environment() -> None:
    """Let no proxy stand between clients and the server, no language change what they say, and pkgd be this one."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"
