"""pkgd with package repositories, which can be killed and started again."""

from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import bcrypt

from tests.live.certificates import Certificates, issue
from tests.live.server import Pkgd, Setup
from tests.live.tools import Daemon, run, wait_for
from tests.repositories.web import Web

_BOTH = ["main", "contrib"]
REPOSITORIES: dict[str, Any] = {
    "apt": [
        {"name": "main", "suites": [{"codename": "stable"}]},
        {
            "name": "full",
            "compression": ["gz", "zst", "xz"],
            "valid_for": "7d",
            "contents": True,
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
PROXY_OFFSET = 60
USER, PASSWORD = "somebody", "not-a-secret"
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


class SpeakingTls(PackageServer):
    """pkgd with a certificate by an authority that nobody but the suite knows."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        super().__init__(replace(setup, certificates=_certificates(folder)), folder)


class BehindProxy(PackageServer):
    """pkgd that is told by which URL clients reach it: that of a proxy with TLS, `PROXY_OFFSET` ports from its own."""

    def __init__(self, setup: Setup, folder: Path) -> None:
        super().__init__(replace(setup, behind_proxy=True), folder)
        self.certificates = _certificates(folder)

    @property
    def front_port(self) -> int:
        """The proxy's."""
        return self.setup.port + PROXY_OFFSET

    # Whether the configuration says so; else the server has only the proxy's word for it.
    is_told = True

    def _settings(self) -> dict[str, Any]:
        settings = super()._settings()
        if self.is_told:
            settings["server"]["external_url"] = f"https://{self.setup.host}:{self.front_port}"
        return settings


class WithUsers(PackageServer):
    """pkgd that knows one user, and lets nobody else in."""

    def _settings(self) -> dict[str, Any]:
        users = self.folder / "htpasswd"
        hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()
        users.write_text(f"{USER}:{hashed}\n")
        return {**super()._settings(), "auth": {"mode": "basic", "basic_htpasswd_file": str(users)}}


class WithUsersBehindProxy(WithUsers, BehindProxy):
    """Both."""


class WithUsersForwarded(WithUsersBehindProxy):
    """The same, where the configuration says nothing of a URL."""

    is_told = False


class WithGnupg(PackageServer):
    """pkgd whose keys GnuPG has."""

    key_types: tuple[str, ...] = ("default",)

    def keys(self) -> dict[str, Any]:
        """Keys in a GnuPG home, which are made at the first call: `default` is RSA with 3,072 bits."""
        if not self._home.exists():
            self._home.mkdir(mode=0o700)
            for name in self.key_types:
                algorithm = "rsa3072" if name == "default" else name
                user = f"{name} <{name}@example.org>"
                self._gpg("--passphrase", "", "--quick-generate-key", user, algorithm, "sign", "never")
        return {**KEYS, **{name: self._key(name) for name in self.key_types}}

    def _key(self, name: str) -> dict[str, Any]:
        listed = self._gpg("--with-colons", "-K", f"{name}@example.org").splitlines()
        fingerprint = next(line.split(":")[9] for line in listed if line.startswith("fpr:"))
        return {"backend": "gnupg", "fingerprint": fingerprint, "homedir": str(self._home)}

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


class WithKeyFiles(PackageServer):
    """pkgd with repositories that require signatures, by keys that were made with GnuPG."""

    ALGORITHMS = ("rsa3072", "ed25519")

    @property
    def home(self) -> Path:
        """A GnuPG home with the keys, and with one that no repository has."""
        return self.folder / "gnupg"

    def fingerprint(self, name: str) -> str:
        """That of a key, in hex."""
        said = run("gpg", "--homedir", str(self.home), "--batch", "--with-colons", "-K", f"{name}@example.org")
        return next(line.split(":")[9] for line in said.splitlines() if line.startswith("fpr:"))

    def repositories(self) -> dict[str, Any]:
        """One for each algorithm."""
        rpm = [{"name": f"require-{one}", "signing_key": one, "sign_packages": "require"} for one in self.ALGORITHMS]
        return {"rpm": rpm}

    def keys(self) -> dict[str, Any]:
        """Exported at the first call."""
        if not self.home.exists():
            self.home.mkdir(mode=0o700)
            gpg = ("gpg", "--homedir", str(self.home), "--batch", "--passphrase", "")
            for name, algorithm in (*zip(self.ALGORITHMS, self.ALGORITHMS, strict=True), ("stranger", "rsa3072")):
                run(*gpg, "--quick-generate-key", f"{name}@example.org", algorithm, "sign", "never")
                secret = self.home / f"{name}.asc"
                run(*gpg, "--armor", "-o", str(secret), "--export-secret-keys", f"{name}@example.org")
                secret.chmod(0o600)
        return {name: {"key_file": str(self.home / f"{name}.asc")} for name in self.ALGORITHMS}

    def remove(self) -> None:
        """As others, and with the agent."""
        if self.home.exists():
            run("gpgconf", "--homedir", str(self.home), "--kill", "all")
        super().remove()


class SwitchedContents(PackageServer):
    """pkgd with Contents, which are switched on in one of its repositories when it runs already."""

    _is_on = False

    def repositories(self) -> dict[str, Any]:
        """One whose setting changes, one for udebs, and one for each form."""
        forms = [{"name": f"only-{form}", "compression": [form], "contents": True} for form in ("gz", "zst", "xz")]
        main = {"name": "main", "contents": True} if self._is_on else {"name": "main"}
        return {"apt": [main, {"name": "udebs", "contents": True}, *forms]}

    def switch_on(self) -> None:
        """Change the setting, start again, and wait until Contents are complete."""
        self.stop()
        self._is_on = True
        self.start_again()
        wait_for("Contents", lambda: b"Contents-all" in self.web.get("/apt/main/dists/stable/Release"))


KEY_TYPES = ("rsa3072", "rsa4096", "ed25519")
_OF_EACH_KEY = {
    "apt": [{"name": one, "signing_key": one} for one in KEY_TYPES],
    "rpm": [{"name": one, "signing_key": one, "sign_packages": "sign"} for one in KEY_TYPES],
}


class WithNativeKeys(PackageServer):
    """pkgd with a key of each type, each with an apt and an rpm repository of its name; those of rpm sign packages."""

    def keys(self) -> dict[str, Any]:
        """One key of each type, made at the start."""
        return {one: {"algorithm": one} for one in KEY_TYPES}

    def repositories(self) -> dict[str, Any]:
        """Two for each key."""
        return _OF_EACH_KEY


class WithGnupgKeys(WithGnupg):
    """The same, with keys that GnuPG has."""

    key_types = KEY_TYPES

    def repositories(self) -> dict[str, Any]:
        """Two for each key."""
        return _OF_EACH_KEY


def _certificates(folder: Path) -> Certificates:
    """Beside the server's folder, for clients to read."""
    return issue(folder.with_name(f"{folder.name}-tls"), ["127.0.0.1"])


def setup(name: str, port: int) -> Setup:
    """How a server of this suite runs."""
    return Setup(name, "127.0.0.1", port)


def free_environment() -> None:
    """Let no proxy stand between clients and the server, no language change what they say, and pkgd be this one."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ["LC_ALL"] = "C.UTF-8"
