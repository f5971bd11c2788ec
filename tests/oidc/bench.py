"""What cases stand on: providers in processes of their own, a browser, and a pkgd with TLS."""

from __future__ import annotations

import json
import os
import shutil
import socket
import ssl
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any

import bcrypt
import jwt.algorithms
from cryptography.hazmat.primitives.asymmetric import ec

from tests.live.certificates import Certificates, issue
from tests.live.tools import CommandFailed, Daemon, run, wait_for
from tests.logins.bench import Missed, sweep

CLIENT = "pkgd"
SECRET = "canary-client-secret-1"
_NODE = Path(__file__).parent / "node"


@dataclass(frozen=True)
class Answer:
    """What pkgd answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


def install_modules(scratch: Path) -> Path:
    """The scripts, with the modules that they need beside them."""
    node = scratch / "node"
    shutil.copytree(_NODE, node, ignore=shutil.ignore_patterns("node_modules"))
    try:
        run("npm", "install", "--prefix", str(node), "--no-audit", "--no-fund", "--ignore-scripts", timeout=300)
    except CommandFailed as error:
        raise SystemExit(f"{error}\n0 passed, 1 failed") from None
    return node


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class NodeProvider:
    """npm's `oidc-provider`. Who logs in there is `alice`, or another of `users`, by any password."""

    def __init__(self, node: Path, folder: Path, port: int, redirect: str, issuer: str | None = None) -> None:
        """
        :param issuer: its URL, if a proxy stands before it.
        """
        self.issuer = issuer or f"http://localhost:{port}"
        self._node = node
        self._folder = folder
        self._port = port
        self._redirect = redirect
        self._daemon: Daemon | None = None
        self.users: dict[str, dict[str, Any]] = {}
        self.keys = [_key("first")]
        self.conform = True
        self.more: dict[str, Any] = {}

    def section(self, **changes: Any) -> dict[str, Any]:
        """How pkgd is told of it."""
        return {"issuer": self.issuer, "client_id": CLIENT, "client_secret": SECRET, **changes}

    def start(self) -> None:
        """Run."""
        users = self._folder / "provider-users.json"
        self.use_users(self.users)
        options = {
            "port": self._port,
            "issuer": self.issuer,
            "client": {"id": CLIENT, "secret": SECRET, "redirect": self._redirect, "more": self.more},
            "keys": {"keys": self.keys},
            "users": str(users),
            "conform": self.conform,
        }
        file = self._folder / "provider.json"
        file.write_text(json.dumps(options))
        command = ["node", str(self._node / "provider.mjs"), str(file)]
        self._daemon = Daemon("oidc-provider", command, self._folder / "provider.log")
        wait_for("the provider listening", lambda: is_open(self._port))

    def use_users(self, users: dict[str, dict[str, Any]]) -> None:
        """From now on these are its users."""
        self.users = users
        (self._folder / "provider-users.json").write_text(json.dumps(users))

    def stop(self) -> None:
        """End the process."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon = None

    def log_in(self, browser: Browser, user: str) -> None:
        """Fill in its forms."""
        browser.do("fill", at="input[name=login]", text=user)
        browser.do("fill", at="input[name=password]", text="any")
        browser.do("click", at="button[type=submit]")
        browser.do("click", at="button[type=submit]")  # consent


class Browser:
    """Chromium, without a window."""

    def __init__(self, node: Path, chromium: str, log: Path, hosts: Sequence[str] = ()) -> None:
        """
        :param hosts: whom it may ask, beside this machine.
        """
        command = ["node", str(node / "browser.mjs"), chromium, *hosts]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log.open("ab"), text=True
        )

    def do(self, action: str, **more: Any) -> Any:
        """Do something; returns what comes of it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"action": action, **more}) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise Missed("the browser has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise Missed(f"{action} {more}: {answer['error']}")
        return answer["result"]

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()


@dataclass
class Pkgd:
    """A running pkgd."""

    url: str
    folder: Path
    log: Path
    daemon: Daemon
    certificates: Certificates
    canaries: list[str] = field(default_factory=lambda: [SECRET])

    def call(self, method: str, path: str, headers: Mapping[str, str] | None = None, body: str | None = None) -> Answer:
        """One request."""
        host, _, port = self.url.rpartition("/")[2].partition(":")
        context = ssl.create_default_context(cafile=str(self.certificates.authority))
        connection = HTTPSConnection(host, int(port), timeout=30, context=context)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def with_password(self, password: str, user: str = "x", path: str = "/v2/") -> Answer:
        """A request with a password, which is a canary from now on."""
        pair = b64encode(f"{user}:{password}".encode()).decode()
        self.canaries += [password, pair]
        return self.call("GET", path, {"Authorization": f"Basic {pair}"})

    def command(self, *arguments: str, text: str = "", home: Path | None = None) -> subprocess.Popen[str]:
        """A command of pkgd, running."""
        process = subprocess.Popen(
            [sys.executable, "-m", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "HOME": str(home or self.folder), "PYTHONUNBUFFERED": "1"},
        )
        if text and process.stdin is not None:
            process.stdin.write(text)
        if process.stdin is not None:
            process.stdin.close()
            process.stdin = None
        return process

    def health(self) -> str:
        """What `/health` says of the provider."""
        return str(self.call("GET", "/health").json["oidc"])

    def sweep(self) -> None:
        """No canary is in the log or on the disk, and nothing has gone wrong unexpectedly."""
        sweep(self.log, self.folder / "state", self.canaries)


class Bench:
    """All of it."""

    def __init__(self, folder: Path, port: int, node: Path, browser: Browser) -> None:
        self.folder = folder
        self.browser = browser
        self.url = f"https://127.0.0.1:{port}"
        self.node = node
        self.port = port
        self._runs = 0
        self.certificates = issue(folder / "tls", ["127.0.0.1"])

    def provider(self) -> NodeProvider:
        """A provider, with alice, who is in two groups, and bob, who is in none."""
        found = NodeProvider(self.node, self.folder, self.port + 1, f"{self.url}/auth/callback")
        found.users = {"alice": {"groups": ["dev", "ops"]}, "bob": {"groups": []}}
        return found

    @contextmanager
    def pkgd(self, oidc: Mapping[str, Any], **more: Any) -> Iterator[Pkgd]:
        """A pkgd whose users log in by a provider; `admin` may break the glass with `canary-glass-1`."""
        self._runs += 1
        folder = self.folder / f"pkgd-{self._runs}"
        folder.mkdir()
        users = folder / "users"
        users.write_bytes(b"admin:" + bcrypt.hashpw(b"canary-glass-1", bcrypt.gensalt(4)) + b"\n")
        config: dict[str, Any] = {
            "state_dir": str(folder / "state"),
            "server": {
                "listen": [f"tcp:{self.port}:interface=127.0.0.1"],
                "external_url": self.url,
                "tls": {"certificate": str(self.certificates.chain), "key": str(self.certificates.key)},
            },
            "auth": {"mode": "oidc", "oidc": {"break_glass_htpasswd": str(users), **oidc}},
            "authorization": {"admins": {"users": ["admin"]}},
            **more,
        }
        (folder / "config.yaml").write_text(json.dumps(config))
        log = folder / "log"
        command = [sys.executable, "-m", "pkgd", "serve", "-c", str(folder / "config.yaml")]
        daemon = Daemon("pkgd", command, log)
        pkgd = Pkgd(self.url, folder, log, daemon, self.certificates)
        try:
            daemon.wait_until(lambda: is_open(self.port) and pkgd.call("GET", "/ready").status == 200)
            yield pkgd
        finally:
            daemon.stop()
        pkgd.sweep()


def _key(name: str) -> dict[str, Any]:
    """A private key as a JWK."""
    made = ec.generate_private_key(ec.SECP256R1())
    key: dict[str, Any] = jwt.algorithms.ECAlgorithm.to_jwk(made, as_dict=True)
    return {**key, "kid": name, "alg": "ES256", "use": "sig"}
