"""dockerd and containerd as a machine has them: with their files where they are by default."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cookbook.village import Village, empty
from tests.live.containerd import running_containerd
from tests.live.cri import ImageService
from tests.live.tools import CommandFailed, Daemon, run, running

PROGRAMS = ["dockerd", "docker", "containerd", "ctr", "runc"]
_SOCKET = Path("/run/containerd/containerd.sock")


@contextmanager
def docker_engine(village: Village, name: str) -> Iterator[Path]:
    """dockerd for the block, with whatever is in /etc/docker/daemon.json; its log."""
    folder = village.scratch / f"dockerd-{name}"
    folder.mkdir()
    log = folder / "dockerd.log"
    with running_containerd(folder / "containerd", cri=False) as containerd:
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        command = ["dockerd", "--containerd", str(containerd.socket), "--exec-root", str(folder / "exec"), *network]
        with running(Daemon("dockerd", command, log)) as daemon:
            daemon.wait_until(_docker_answers, seconds=60)
            yield log
    empty(Path("/var/lib/docker"))


def _docker_answers() -> bool:
    try:
        return bool(run("docker", "version", "--format", "{{.Server.Version}}"))
    except CommandFailed:
        return False


class Node:
    """A running containerd, and what Kubernetes would ask of it."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self.images = ImageService(_SOCKET)

    def pull_with_ctr(self, name: str) -> None:
        """Pull by ctr, and forget it again."""
        run("ctr", "-n", "suite", "images", "pull", "--hosts-dir", "/etc/containerd/certs.d", name)
        run("ctr", "-n", "suite", "images", "rm", "--sync", name)


@contextmanager
def containerd_node(village: Village, name: str) -> Iterator[Node]:
    """containerd for the block, with whatever is in /etc/containerd."""
    log = village.scratch / f"containerd-{name}.log"
    with running(Daemon("containerd", ["containerd"], log)) as daemon:
        daemon.wait_until(lambda: "containerd successfully booted" in log.read_text(errors="replace"))
        yield Node(log)
    empty(Path("/var/lib/containerd"))


def major_version() -> int:
    """Which containerd this machine has: 1 or 2."""
    return int(run("containerd", "--version").split()[2].lstrip("v").split(".")[0])
