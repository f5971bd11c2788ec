"""The servers under the same load: pkgd, docker-registry and nginx, each in its best reasonable configuration."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench import api, procfs
from tests.bench.content import MANIFEST_TYPE, Image
from tests.bench.tools import tool

ROOT = Path(__file__).resolve().parents[2]
LONGEST_START = 30.0
LONGEST_STOP = 60.0
POLL_INTERVAL = 0.005


class ServerFailed(Exception):
    """A server didn't start, or didn't stop."""


class Server:
    """One server with its own folder and port; content can be laid into the folder before the start."""

    kind = ""
    ready_target = "/v2/"
    health_target = "/v2/"

    def __init__(self, label: str, folder: Path, port: int) -> None:
        folder.mkdir(parents=True)
        self.label = label
        self.folder = folder
        self.port = port
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process id of the running server."""
        if self._process is None:
            raise ServerFailed(f"{self.label} isn't running")
        return self._process.pid

    def place_blob(self, repository: str, digest: str, source: Path) -> None:
        """Make a blob servable by a hard link to a file, so that all servers share its page cache."""
        raise NotImplementedError

    def publish(self, repository: str, tag: str, image: Image) -> None:
        """Make a small image pullable from the running server."""
        api.put_image(self.port, repository, tag, image)

    def start(self) -> float:
        """Start, wait until ready, and return the seconds that it took."""
        command = self._configure()
        began = time.monotonic()
        with (self.folder / "output").open("ab") as output:
            self._process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=output)
        while not self._is_ready():
            self._insist_on_life(began)
            time.sleep(POLL_INTERVAL)
        return time.monotonic() - began

    def stop(self) -> None:
        """Ask for a graceful stop, and insist on it."""
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(LONGEST_STOP)
        except subprocess.TimeoutExpired as late:
            self._process.kill()
            self._process.wait()
            raise ServerFailed(f"{self.label} ignores SIGTERM for {LONGEST_STOP:.0f} s") from late
        finally:
            self._process = None

    def last_output(self) -> str:
        """The end of what it wrote, for whoever looks into a failure."""
        path = self.folder / "output"
        return path.read_text(errors="replace")[-2000:] if path.exists() else ""

    def cpu_seconds(self) -> float:
        """CPU seconds used so far."""
        return procfs.cpu_seconds(self.pid)

    def peak_rss(self) -> int:
        """Peak resident bytes since the start."""
        return procfs.peak_resident_bytes(self.pid)

    def rss(self) -> int:
        """Resident bytes now."""
        return procfs.resident_bytes(self.pid)

    def more_configuration(self) -> str:
        """What a server for some scenario has in its configuration besides the usual."""
        return ""

    def _configure(self) -> list[str]:
        raise NotImplementedError

    def _is_ready(self) -> bool:
        try:
            return api.status_of(self.port, self.ready_target) == 200
        except OSError:
            return False

    def _insist_on_life(self, began: float) -> None:
        dead = self._process is None or self._process.poll() is not None
        if dead or time.monotonic() - began > LONGEST_START:
            self.stop()
            raise ServerFailed(f"{self.label} {'died' if dead else 'is not ready'}: {self.last_output()}")


class Pkgd(Server):
    """pkgd with fsync, its access log in a file."""

    kind = "pkgd"
    ready_target = "/ready"
    health_target = "/health"

    def place_blob(self, repository: str, digest: str, source: Path) -> None:
        """Link into the tree, which is the truth."""
        _link(source, self.folder / "state" / "oci" / repository / "blobs" / _hex(digest))

    def auth(self) -> str:
        """The section `auth`."""
        return "{mode: none}"

    def _configure(self) -> list[str]:
        config = self.folder / "pkgd.yaml"
        config.write_text(f"""\
version: 1
state_dir: {self.folder}/state
server: {{listen: ["tcp:{self.port}:interface=127.0.0.1"]}}
storage: {{filesystem: {{fsync: true}}}}
auth: {self.auth()}
logging: {{level: info, access: {{file: {self.folder}/access.log}}}}
{self.more_configuration()}""")
        script = ROOT / ".venv" / "bin" / "pkgd"
        program = [str(script)] if script.exists() else [sys.executable, "-m", "pkgd"]
        return [*program, "serve", "-c", str(config)]


class DockerRegistry(Server):
    """The CNCF distribution as Debian packages it: file system driver, only errors logged, descriptors in memory."""

    kind = "docker-registry"

    def place_blob(self, repository: str, digest: str, source: Path) -> None:
        """Link the data, and name it as a layer of the repository."""
        root = self.folder / "registry" / "docker" / "registry" / "v2"
        _link(source, root / "blobs" / "sha256" / _hex(digest)[:2] / _hex(digest) / "data")
        layer = root / "repositories" / repository / "_layers" / "sha256" / _hex(digest) / "link"
        layer.parent.mkdir(parents=True)
        layer.write_text(digest)

    def _configure(self) -> list[str]:
        config = self.folder / "registry.yaml"
        config.write_text(f"""\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage:
  filesystem: {{rootdirectory: {self.folder}/registry}}
  cache: {{blobdescriptor: inmemory}}
  maintenance: {{uploadpurging: {{enabled: false}}}}
http: {{addr: "127.0.0.1:{self.port}", relativeurls: true, secret: bench}}
{self.more_configuration()}""")
        return [tool("docker-registry"), "serve", str(config)]


class Nginx(Server):
    """The same bytes as static files: the practical limit of serving.

    Without tcp_nopush it serves a third faster on the loopback, and two workers are as good as one or better.
    """

    kind = "nginx"
    ready_target = "/health"
    health_target = "/health"

    def place_blob(self, repository: str, digest: str, source: Path) -> None:
        """Link the file at the path of its URL."""
        _link(source, self.folder / "www" / "v2" / repository / "blobs" / digest)

    def publish(self, repository: str, tag: str, image: Image) -> None:
        """Write the manifest under its tag and its digest."""
        manifests = self.folder / "www" / "v2" / repository / "manifests"
        manifests.mkdir(parents=True)
        for reference in (tag, image.digest):
            (manifests / reference).write_bytes(image.manifest)

    def _configure(self) -> list[str]:
        (self.folder / "www").mkdir(exist_ok=True)
        config = self.folder / "nginx.conf"
        config.write_text(f"""\
{"user root;" if os.geteuid() == 0 else ""}
worker_processes 2;
daemon off;
pid {self.folder}/nginx.pid;
error_log {self.folder}/error.log error;
events {{ worker_connections 1024; }}
http {{
  access_log {self.folder}/access.log combined buffer=64k flush=1s;
  sendfile on; sendfile_max_chunk 2m; tcp_nopush off;
  keepalive_requests 100000000; keepalive_timeout 75s;
  open_file_cache max=1000; open_file_cache_valid 60s;
  {" ".join(f"{name}_temp_path {self.folder}/tmp;" for name in NGINX_TEMPORARY)}
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{self.port};
    root {self.folder}/www;
    location = /health {{ access_log off; return 200; }}
    location ~ /manifests/ {{ default_type {MANIFEST_TYPE}; }}
  }}
}}
""")
        return [tool("nginx"), "-p", str(self.folder), "-e", str(self.folder / "error.log"), "-c", str(config)]


NGINX_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
KINDS: dict[str, type[Server]] = {server.kind: server for server in (Pkgd, DockerRegistry, Nginx)}


@contextmanager
def running(servers: Sequence[Server]) -> Iterator[None]:
    """Run servers side by side; all are stopped at the end, whatever happens."""
    with ExitStack() as stack:
        try:
            for server in servers:
                stack.callback(server.stop)
                server.start()
            yield
        except Exception as error:
            for server in servers:
                error.add_note(f"{server.label} wrote: {server.last_output()}")
            raise


def _hex(digest: str) -> str:
    return digest.partition(":")[2]


def _link(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    os.link(source, target)
