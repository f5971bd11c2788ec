"""pkgd from a recipe's file, as a process."""

from __future__ import annotations

import json
import shutil
import signal
import ssl
import urllib.error
import urllib.request
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.cookbook.village import NAMES, Village
from tests.live.tools import Daemon, wait_for

CONFIGURATION = "/etc/pkgd/pkgd.yaml"


class Unclean(Exception):
    """A server did not end as it must."""


class Server:
    """One pkgd.

    :param name: by which clients know it; another than pkg.example.com has files and state of its own.
    """

    def __init__(self, village: Village, configuration: str, name: str, variables: Mapping[str, str]) -> None:
        self.name = name
        self.log = village.scratch / f"{name}.log"
        self.folder = Path(CONFIGURATION).parent if name == "pkg.example.com" else village.scratch / name
        self._village = village
        self._variables = dict(variables)
        self._daemon: Daemon | None = None
        self.use(configuration)

    @property
    def configuration(self) -> Path:
        """Its file."""
        return self.folder / "pkgd.yaml"

    def use(self, configuration: str) -> None:
        """Take another configuration from the next start on."""
        self.folder.mkdir(exist_ok=True)
        for file in ("tls.crt", "tls.key"):
            if not (self.folder / file).exists():
                shutil.copy(Path("/etc/pkgd") / file, self.folder / file)
        self.configuration.write_text(configuration)
        (listen,) = yaml.safe_load(configuration)["server"]["listen"]
        self._port = int(listen.split(":")[1])
        self._plain = "tls" not in yaml.safe_load(configuration)["server"]
        if "interface" not in listen:
            self._variables["PKGD_SERVER__LISTEN"] = json.dumps([f"{listen}:interface={NAMES[self.name]}"])
        if self.name != "pkg.example.com":
            self._variables["PKGD_STATE_DIR"] = str(self.folder / "state")

    def add(self, **variables: str) -> None:
        """Set variables from the next start on."""
        self._variables |= variables

    def start(self) -> None:
        """Run it, until it is ready."""
        variables = [f"{key}={value}" for key, value in self._variables.items()]
        command = ["env", *variables, "pkgd", "serve", "-c", str(self.configuration)]
        self._daemon = Daemon(self.name, command, self.log)
        self._daemon.wait_until(lambda: self.status("/ready") == 200, seconds=60)

    def stop(self) -> None:
        """End it; it must end cleanly, without a traceback in its log."""
        status = self._daemon.stop() if self._daemon else None
        self._daemon = None
        if status not in (0, -signal.SIGTERM):
            raise Unclean(f"{self.name}: exit status {status} after SIGTERM")
        if "Traceback" in (text := self.log.read_text(errors="replace")):
            raise Unclean(f"{self.name}: a traceback\n{text[text.index('Traceback') - 300 :][:2000]}")

    @property
    def is_running(self) -> bool:
        """Whether it has been started, and not stopped."""
        return self._daemon is not None

    def kill(self) -> None:
        """End it if it still runs."""
        if self._daemon:
            self._daemon.kill()

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self._port}" if self._plain else f"https://{self.name}"

    def status(self, path: str, login: str = "") -> int:
        """The status of a GET, 0 for no answer."""
        return get(f"{self.url}{path}", login)[0]

    def lines(self, having: str) -> list[str]:
        """Lines of its log."""
        return [line for line in self.log.read_text(errors="replace").splitlines() if having in line]

    def wait_for_lines(self, having: str, count: int = 1) -> list[str]:
        """As `lines`, as soon as there are so many."""
        wait_for(f"{count} lines with {having!r} in the log of {self.name}", lambda: len(self.lines(having)) >= count)
        return self.lines(having)


def get(url: str, login: str = "", headers: Mapping[str, str] | None = None) -> tuple[int, bytes]:
    """Status and body of a GET; 0 for no answer."""
    sent = dict(headers or {})
    if login:
        sent["Authorization"] = "Basic " + b64encode(login.encode()).decode()
    context = ssl.create_default_context(cafile="/etc/ssl/certs/ca-certificates.crt")
    opener = urllib.request.build_opener(urllib.request.HTTPSHandler(context=context))
    try:
        with opener.open(urllib.request.Request(url, headers=sent), timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


@contextmanager
def serving(
    village: Village, configuration: str, name: str = "pkg.example.com", start: bool = True, **variables: str
) -> Iterator[Server]:
    """pkgd for the block; an unclean end of it is an error.

    :param start: whether it runs at once.
    """
    server = Server(village, configuration, name, variables)
    try:
        if start:
            server.start()
        yield server
        if server.is_running:
            server.stop()
    finally:
        server.kill()
        server.log.unlink(missing_ok=True)
