"""What cases stand on: services, a pkgd for each case, and canaries that must be found nowhere."""

from __future__ import annotations

import json
import signal
import socket
import ssl
import sys
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any

import bcrypt

from tests.auth.issuing import jwk, jwks, token
from tests.live.tools import Daemon, wait_for
from tests.upstream.authority import Authority

AUDIENCE = "pkg.example.com"


@dataclass(frozen=True)
class Case:
    """One thing that must be so."""

    name: str
    trial: Callable[[], None]


@dataclass(frozen=True)
class Answer:
    """What pkgd answers."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Missed(Exception):
    """Something is not as it must be."""


def expect(what: str, found: object, wanted: object) -> None:
    """Raise if these differ."""
    if found != wanted:
        raise Missed(f"{what}: {found!r}, and not {wanted!r}")


def sweep(log: Path, state: Path, canaries: Sequence[str]) -> None:
    """No canary is in the log or on the disk, and nothing has gone wrong unexpectedly.

    :raises Missed: if not so.
    """
    for place in [log, *(one for one in state.rglob("*") if one.is_file())]:
        data = place.read_bytes()
        for canary in canaries:
            if canary.encode() in data:
                raise Missed(f"a secret is in {place}")
    if b"Traceback" in log.read_bytes():
        raise Missed(f"a traceback is in the log:\n{log.read_text()[-3000:]}")


class Service:
    """A back end in a process of its own, told what to do over HTTP. `kind` is the algorithm that it signs with."""

    def __init__(self, folder: Path, name: str, port: int, authority: Authority | None = None) -> None:
        self.name = name
        self.port = port
        self.authority = authority
        self._folder = folder
        self._daemon: Daemon | None = None

    @property
    def base(self) -> str:
        """Its URL."""
        return f"https://localhost:{self.port}" if self.authority else f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Run, without users, publishing the key `a` of its name."""
        command = [sys.executable, "-m", "tests.logins.service", "--port", str(self.port)]
        if self.authority is not None:
            self.authority.context("localhost")
            command += ["--tls", str(self._folder / "ca" / "localhost-good.pem")]
        self._daemon = Daemon(self.name, command, self._folder / f"{self.name}.log")
        wait_for(f"{self.name} listening", lambda: is_open(self.port))
        self.tell()

    def kill(self) -> None:
        """End the process."""
        if self._daemon is not None:
            self._daemon.kill()

    def tell(self, **what: Any) -> None:
        """Forget what was told and seen, and do this from now on."""
        documents = {"/jwks": jwks(jwk("RS256", self.key())).decode()}
        self._call("POST", "/-/tell", json.dumps({"users": {}, "documents": documents, "always": None, **what}))

    def seen(self) -> list[dict[str, Any]]:
        """The requests since then."""
        found: list[dict[str, Any]] = json.loads(self._call("GET", "/-/seen"))
        return found

    def logins(self) -> int:
        """How many of them were questions."""
        return sum(one["path"] == "/login" for one in self.seen())

    def key(self, name: str = "a") -> str:
        """What a key of its is called."""
        return f"{self.name}-{name}"

    def token(self, user: str, **changes: Any) -> str:
        """A token of its."""
        now = int(time.time())
        name = changes.pop("name", self.key())
        usual = {"iss": self.base, "aud": AUDIENCE, "sub": user, "iat": now, "exp": now + 600}
        return token("RS256", name, changes.pop("header", None), **{**usual, **changes})

    def user(self, user: str, password: str, text: str | None = None) -> dict[str, Any]:
        """A user for `tell(users=…)`."""
        return {user: {"password": password, "answer": json.dumps({"token": text or self.token(user)})}}

    def section(self, **changes: Any) -> dict[str, Any]:
        """How pkgd is told of it."""
        usual: dict[str, Any] = {"name": self.name, "url": f"{self.base}/login", "timeout": "2s"}
        usual |= {"issuer": self.base, "audience": AUDIENCE, "jwks_url": f"{self.base}/jwks"}
        if self.authority is not None:
            usual["ca_file"] = str(self.authority.file)
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def _call(self, method: str, path: str, body: str = "") -> str:
        connection: HTTPConnection
        if self.authority is not None:
            context = ssl.create_default_context(cafile=str(self.authority.file))
            connection = HTTPSConnection("localhost", self.port, timeout=10, context=context)
        else:
            connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        connection.request(method, path, body)
        return connection.getresponse().read().decode()


@dataclass
class Pkgd:
    """A running pkgd."""

    port: int
    folder: Path
    log: Path
    daemon: Daemon
    canaries: list[str] = field(default_factory=list)

    def call(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, body: bytes | None = None
    ) -> Answer:
        """One request."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, path, body, dict(headers or {}))
            response = connection.getresponse()
            return Answer(response.status, dict(response.headers), response.read())
        finally:
            connection.close()

    def login(self, user: str, password: str, path: str = "/v2/") -> Answer:
        """A request with a user and a password, which are canaries from now on."""
        pair = b64encode(f"{user}:{password}".encode()).decode()
        self.canaries += [one for one in (password, pair) if len(one) > 8]
        return self.call("GET", path, {"Authorization": f"Basic {pair}"})

    def bearer(self, text: str) -> Answer:
        """A request with a token."""
        self.canaries.append(text)
        return self.call("GET", "/v2/", {"Authorization": f"Bearer {text}"})

    def reload(self) -> None:
        """SIGHUP, and wait until it has been heard."""
        self.daemon._process.send_signal(signal.SIGHUP)
        time.sleep(1)

    def sweep(self) -> None:
        """No canary is in the log or on the disk, and nothing has gone wrong unexpectedly."""
        sweep(self.log, self.folder / "state", self.canaries)


class Bench:
    """All of it."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self._port = port
        self._runs = 0
        authority = Authority(folder / "ca", "ca")
        self.one = Service(folder, "one", port + 1, authority)
        self.two = Service(folder, "two", port + 2)
        self.services = (self.one, self.two)

    @property
    def gone(self) -> int:
        """A port where nobody listens."""
        return self._port + 9

    @contextmanager
    def pkgd(
        self, *backends: Any, rules: Sequence[Mapping[str, Any]] = (), admins: Sequence[str] = (), **auth: Any
    ) -> Iterator[Pkgd]:
        """A pkgd with these back ends, and one user of its own, `local` with `canary-local-1`.

        :param rules: those of `authorization`.
        :param admins: the users who may do everything.
        """
        self._runs += 1
        folder = self.folder / f"pkgd-{self._runs}"
        folder.mkdir()
        users = folder / "users"
        users.write_bytes(b"local:" + bcrypt.hashpw(b"canary-local-1", bcrypt.gensalt(4)) + b"\n")
        config: dict[str, Any] = {
            "state_dir": str(folder / "state"),
            "server": {"listen": [f"tcp:{self._port}:interface=127.0.0.1"], "external_url": f"https://{AUDIENCE}"},
            "auth": {
                "mode": "basic",
                "basic_htpasswd_file": str(users),
                "basic_api_backends": list(backends),
                "throttle": {"per_ip": "900000/s", "per_user": "900000/s"},
                **auth,
            },
        }
        if rules:
            config["authorization"] = {"rules": list(rules)}
        if admins:
            config.setdefault("authorization", {})["admins"] = {"users": list(admins)}
        (folder / "config.yaml").write_text(json.dumps(config))
        log = folder / "log"
        command = [sys.executable, "-m", "pkgd", "serve", "-c", str(folder / "config.yaml")]
        daemon = Daemon("pkgd", command, log)
        pkgd = Pkgd(self._port, folder, log, daemon)
        try:
            daemon.wait_until(lambda: is_open(self._port) and pkgd.call("GET", "/ready").status == 200)
            yield pkgd
        finally:
            daemon.stop()
        pkgd.sweep()


def is_open(port: int) -> bool:
    """Whether somebody listens."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
