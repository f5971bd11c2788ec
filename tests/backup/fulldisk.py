"""Disks that take no more, under a pkgd that runs: `python -m tests.backup.fulldisk`. Needs root.

Filled to its last byte: pulls go on, pushes and uploads are answered 507, images, packages and keys are deleted, so is
garbage, and once there is space pkgd goes on by itself; so it does when it is started meanwhile, with all reserves
used up, too. A disk that
has become read-only: pulls go on, all else is 503. And where descriptors run out: new clients wait.
"""

from __future__ import annotations

import base64
import hashlib
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path

import bcrypt
from msgspec.structs import replace

from pkgd.config import load
from pkgd.storage.startreserve import SIZE
from pkgd.upkeep_command import carry_out
from tests.backup.__main__ import free_port
from tests.backup.disks import Disk, mounted
from tests.backup.images import Images
from tests.crash.packages.server import PackagePkgd
from tests.formats.rpms import rpm
from tests.packages.fixtures import made_deb
from tests.repositories.web import Answer, Web

_PATIENCE = 15.0
_GRACE = 2.0
_LARGE = os.urandom(4 << 20)
_FIRST, _SECOND = "/apt/main/stable/main/first_1.0_amd64.deb", "/apt/main/stable/main/second_1.0_amd64.deb"
_READS = (
    *(
        "/v2/team/app/manifests/v0",
        "/v2/team/app/tags/list",
        f"/v2/team/app/referrers/sha256:{'0' * 64}",
        "/v2/_catalog",
        "/api/v1/packages",
    ),
    *("/apt/main/dists/stable/InRelease", "/rpm/main/repodata/repomd.xml", "/health", "/ready"),
)


class _Administrator(Web):
    """Comes with a password."""

    def call(
        self, method: str, path: str, body: bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> Answer:
        """See `Web.call`."""
        password = base64.b64encode(b"admin:secret").decode()
        return super().call(method, path, body, {"Authorization": f"Basic {password}", **(headers or {})})


class _Pkgd(PackagePkgd):
    """Collects garbage all the time, unless it is told not to, and has users."""

    interval = "1s"

    def configuration(self) -> dict[str, object]:
        """With one user, who may do everything."""
        users = self._logs / "users"
        users.write_bytes(b"admin:" + bcrypt.hashpw(b"secret", bcrypt.gensalt(10)))
        found = super().configuration()
        return {
            **found,
            "auth": {"mode": "basic", "basic_htpasswd_file": str(users)},
            "authorization": {"admins": {"users": ["admin"]}},
            "storage": {**found["storage"], "gc": {"interval": self.interval}},  # type: ignore[dict-item]
        }

    def command(self) -> list[str]:
        """With as short a grace as no configuration may have."""
        return [sys.executable, "-m", "tests.upkeep.serve", str(_GRACE), *super().command()[-2:]]

    def collect(self) -> int:
        """What `pkgd gc --apply` does where no daemon runs, without any grace; how many blobs it has removed."""
        config = load(super().command()[-1], {})
        collection = replace(config.storage.gc, grace=0.0)
        config = replace(config, storage=replace(config.storage, gc=collection))
        return sum(one["objects"] for one in carry_out(config, "gc", {"apply": True})["repositories"])

    def said(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of pkgd's, as it is, to its end."""
        command = [sys.executable, "-m", "pkgd", *words, *super().command()[-2:]]
        return subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)

    @property
    def web(self) -> Web:
        """The server, by HTTP."""
        return _Administrator("127.0.0.1", self.port)


class _Drill:
    """A server on a disk, and what is asked of them: one line each."""

    def __init__(self, server: _Pkgd, disk: Disk) -> None:
        self.server = server
        self.disk = disk
        self.web = server.web
        self.images = Images(self.web, "0")
        self.passed = 0
        self.failed = 0

    def equal(self, what: str, found: object, expected: object) -> None:
        """Count one."""
        good = found == expected
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        print(f"{'ok' if good else 'FAILED'}: {what}: {found}")

    def until(self, what: str, condition: Callable[[], bool]) -> None:
        """Count one that may take a moment."""
        end = time.monotonic() + _PATIENCE
        while not (found := condition()) and time.monotonic() < end:
            time.sleep(0.2)
        self.equal(what, found, True)

    def delete(self, what: str, path: str, status: int) -> None:
        """Delete something."""
        self.equal(f"{what} is deleted", self.web.call("DELETE", path).status, status)

    def reads(self, when: str) -> None:
        """Everything that can be read is."""
        for path in _READS:
            self.equal(f"{path}, {when}", self.web.call("GET", path).status, 200)

    def push(self) -> Answer:
        """A blob that nobody has pushed before."""
        data = os.urandom(8)
        return self.web.call(
            "POST", f"/v2/team/app/blobs/uploads/?digest=sha256:{hashlib.sha256(data).hexdigest()}", data
        )

    def writes(self, when: str, status: int) -> None:
        """Everything that would be written is answered like that: JSON for registries' clients, a line for others."""
        pushed = self.push()
        self.equal(f"a push, {when}", (pushed.status, "UNAVAILABLE" in pushed.text), (status, True))
        for path, data in (("/apt/main/stable/main/b.deb", made_deb("third")), ("/rpm/main/b.rpm", rpm())):
            answer = self.web.call("PUT", path, data)
            found = answer.status, answer.headers["content-type"].partition(";")[0]
            self.equal(f"PUT {path}, {when}", found, (status, "text/plain"))

    def reserve(self) -> bool:
        """Whether the reserve for deletes is there."""
        return (self.server.state / "spool" / "reserve").exists()

    def start_reserve(self) -> int:
        """How much is set aside for a start."""
        return (self.server.state / "spool" / "start-reserve").stat().st_size

    def end(self, at_once: bool) -> int:
        """Kill the server, which is as it should be, or stop it; returns its exit status."""
        if not at_once:
            return self.server.stop()
        self.server.kill()
        return 0 if self.server.wait() == -signal.SIGKILL else 1


def main() -> int:
    """Run it; returns the exit status."""
    with tempfile.TemporaryDirectory(prefix="pkgd-fulldisk-") as directory, mounted(Path(directory)) as disk:
        server = _Pkgd(free_port(), disk.path / "state", Path(directory, "logs"))
        drill = _Drill(server, disk)
        server.start()
        try:
            _fill(drill)
            _use_up_descriptors(drill)
            drill.until("the reserve is there again", drill.reserve)
            _start_on_a_full_disk(drill)
            _start_without_reserves(drill)
            _read_only(drill)
        finally:
            server.stop()
        drill.equal("tracebacks", server.new_crash_notices(), [])
    print(f"{drill.passed} passed, {drill.failed} failed")
    return 1 if drill.failed else 0


def _fill(drill: _Drill) -> None:
    web, images, disk = drill.web, drill.images, drill.disk
    digests = [images.push("team/app", f"v{number}", bytes([number]) * 1000) for number in range(4)]
    large = images.push("team/large", "v0", _LARGE)
    for name in ("first", "second"):
        web.call("PUT", f"/apt/main/stable/main/{name}.deb", made_deb(name)).must_be(201)
    key = web.call("POST", "/api/v1/keys", b'{"label": "laptop"}').must_be(201)
    layer = hashlib.sha256(bytes(1000)).hexdigest()
    disk.fill()
    drill.equal("bytes free", disk.free, 0)
    drill.reads("on a full disk")
    drill.equal("a blob", web.call("GET", f"/v2/team/app/blobs/sha256:{layer}").status, 200)
    drill.writes("on a full disk", 507)
    drill.delete("a tag", "/v2/team/app/manifests/v3", 202)
    drill.delete("a manifest", f"/v2/team/app/manifests/{digests[1]}", 202)
    drill.equal("it is gone", web.call("GET", "/v2/team/app/manifests/v1").status, 404)
    disk.fill()
    drill.delete("a package", _FIRST, 204)
    drill.equal("the reserve is given up for it", drill.reserve(), False)
    drill.delete("another", _SECOND, 204)
    listed = web.call("GET", "/apt/main/dists/stable/main/binary-amd64/Packages").text
    drill.equal("clients see that", "Package:" in listed, False)
    identifier = key.text.partition('"id":"')[2].partition('"')[0]
    drill.delete("a key", f"/api/v1/keys/{identifier}", 204)
    disk.fill()
    drill.delete("a large image", f"/v2/team/large/manifests/{large}", 202)
    drill.until("its layer is collected as garbage", lambda: disk.free >= len(_LARGE) // 2)
    drill.until("and so a push is taken", lambda: drill.push().status == 201)
    disk.clear()
    drill.equal("an upload", web.call("PUT", "/rpm/main/a.rpm", rpm()).status, 201)


def _start_on_a_full_disk(drill: _Drill) -> None:
    """Where there is no space for what SQLite makes at a start."""
    drill.disk.fill()
    drill.equal("the exit status of a stop on a full disk", drill.server.stop(), 0)
    drill.disk.fill()
    drill.server.start()
    drill.equal("a start leaves deletes their reserve", drill.reserve(), True)
    drill.equal("it has had of its own", 0 < drill.start_reserve() < SIZE, True)
    drill.disk.fill()
    drill.reads("after a start on a full disk")
    drill.delete("a tag", "/v2/team/app/manifests/v2", 202)
    drill.disk.clear()
    drill.until("a push is taken", lambda: drill.push().status == 201)
    drill.images.push("team/app", "v2", b"again")


def _start_without_reserves(drill: _Drill) -> None:
    """Again and again, stopped or killed, and nothing is ever free."""
    server, images, disk = drill.server, drill.images, drill.disk
    large = [images.push("team/large", f"v{number}", os.urandom(1 << 20)) for number in range(2)]
    time.sleep(_GRACE)
    for how in ("stopped", "killed", "killed again", "stopped again"):
        for one in disk.path.rglob("reserve"):
            one.unlink()
        disk.fill()
        drill.equal(f"the exit status of what is {how}", drill.end(how.startswith("killed")), 0)
        disk.fill()
        drill.equal(f"bytes free before a start, {how}", disk.free, 0)
        server.start()
        disk.fill()
        drill.reads(f"{how}, and started without reserves")
        drill.writes(f"{how}, and started without reserves", 507)
    drill.delete("a large image", f"/v2/team/large/manifests/{large[0]}", 202)
    drill.until("its layer is collected", lambda: disk.free >= 1 << 19)
    _collect_beside_nobody(drill, large[1])
    disk.clear()
    server.start()
    drill.until("a push is taken", lambda: drill.push().status == 201)


def _collect_beside_nobody(drill: _Drill, manifest: str) -> None:
    """What is garbage when pkgd does not run any more: `pkgd gc` removes it without a free byte; else it says why."""
    server, disk = drill.server, drill.disk
    server.interval = "0s"
    server.stop()
    server.start()
    drill.equal("bytes that are set aside for a start again", drill.start_reserve(), SIZE)
    drill.delete("another", f"/v2/team/large/manifests/{manifest}", 202)
    server.stop()
    disk.fill()
    drill.equal("blobs that pkgd gc removes", server.collect() > 0, True)
    drill.equal("it has freed a layer", disk.free >= 1 << 19, True)
    for one in (*disk.path.rglob("*reserve"), server.state / "index.sqlite"):
        one.unlink(missing_ok=True)
    disk.fill()
    said = server.said("serve")
    drill.equal("a start for which nothing is left", (said.returncode, "free 1 MiB" in said.stderr), (1, True))
    drill.equal("it says so in lines", said.stderr.count("\n"), 1)


def _use_up_descriptors(drill: _Drill) -> None:
    """Clients that come and say nothing, more of them than there are descriptors."""
    pid, address = drill.server.pid, ("127.0.0.1", drill.server.port)
    limits = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    used = max(int(one) for one in os.listdir(f"/proc/{pid}/fd"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (used + 100, limits[1]))
    with ExitStack() as clients:
        for _ in range(200):
            clients.enter_context(socket.create_connection(address))
        time.sleep(0.5)
        free = used + 100 - len(os.listdir(f"/proc/{pid}/fd"))
        drill.equal("some descriptors are left for files", free > 16, True)
        before = _processor_seconds(pid)
        time.sleep(2)
        drill.equal("seconds of a processor, idle, within two", _processor_seconds(pid) - before < 0.5, True)
        drill.equal("it is alive", drill.server.is_running(), True)
    drill.until("served again", lambda: drill.web.answers("/v2/team/app/manifests/v0"))
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limits)


def _processor_seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _read_only(drill: _Drill) -> None:
    if not drill.disk.break_writes():
        print("a disk in memory cannot become read-only while files are open: not tried")
        return
    drill.reads("on a disk that has become read-only")
    drill.writes("on a read-only disk", 503)
    for path in ("/v2/team/app/manifests/v2", "/v2/team/app/manifests/v0"):
        drill.equal(f"DELETE {path}", drill.web.call("DELETE", path).status, 503)


if __name__ == "__main__":
    sys.exit(main())
