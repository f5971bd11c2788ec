"""pkgd with package repositories, which can be killed and started again."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

from tests.live.server import Pkgd, Setup
from tests.live.tools import Daemon, run
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
        {"name": "ed25519", "signing_key": "ed25519"},
    ],
    "rpm": [
        {"name": "main"},
        {"name": "team/el9", "compression": "zst"},
        {"name": "signing", "sign_packages": "sign"},
        {"name": "requiring", "sign_packages": "require"},
    ],
}
KEYS: dict[str, Any] = {"ed25519": {"algorithm": "ed25519"}}


class PackageServer(Pkgd):
    """pkgd from this checkout, with the built-in repositories or with many."""

    built_in = False

    def command(self) -> list[str]:
        """As pkgd's, but always from this checkout."""
        return [sys.executable, "-m", "pkgd", *super().command()[-3:]]

    def repositories(self) -> dict[str, Any]:
        """What the configuration says of them."""
        return REPOSITORIES

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        return (
            settings
            if self.built_in
            else {**settings, "repositories": self.repositories(), "signing": {"keys": self.keys()}}
        )

    def keys(self) -> dict[str, Any]:
        """The keys that are configured."""
        return KEYS

    @property
    def web(self) -> Web:
        """The server, by HTTP."""
        certificates = self.setup.certificates
        return Web(self.setup.host, self.setup.port, certificates.authority if certificates else None)

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
        return self.web.answers("/ready")


class BuiltIn(PackageServer):
    """pkgd without a word about repositories."""

    built_in = True


class WithGnupg(PackageServer):
    """pkgd whose keys GnuPG has."""

    def keys(self) -> dict[str, Any]:
        """A key in a GnuPG home, which is made at the first call."""
        if not self._home.exists():
            self._home.mkdir(mode=0o700)
            self._gpg(
                "--passphrase", "", "--quick-generate-key", "Tests <tests@example.org>", "rsa3072", "sign", "never"
            )
        fingerprint = next(
            line.split(":")[9] for line in self._gpg("--with-colons", "-K").splitlines() if line.startswith("fpr:")
        )
        key = {"backend": "gnupg", "fingerprint": fingerprint, "homedir": str(self._home)}
        return {**KEYS, "default": key}

    def repositories(self) -> dict[str, Any]:
        """Without those whose packages are signed, for which GnuPG's keys are of no use."""
        rpm = [one for one in REPOSITORIES["rpm"] if "sign_packages" not in one]
        return {**REPOSITORIES, "rpm": rpm}

    @property
    def _home(self) -> Path:
        return self.folder / "gnupg"

    def _gpg(self, *arguments: str) -> str:
        return run("gpg", "--homedir", str(self._home), "--batch", *arguments)

    def remove(self) -> None:
        """As others, and with the agent."""
        if self._home.exists():
            run("gpgconf", "--homedir", str(self._home), "--kill", "all")
        super().remove()


def setup(name: str, port: int) -> Setup:
    """How a server of this suite runs."""
    return Setup(name, "127.0.0.1", port)


def free_environment() -> None:
    """Let no proxy stand between clients and the server, no language change what they say, and pkgd be this one."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"
