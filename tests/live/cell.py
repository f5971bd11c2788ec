"""Namespaces of the suite's own: what clients write, mount, listen on or start ends with the suite.

The cell has its own network (loopback only, with one more address), mounts and processes.
Docker takes 127.0.0.0/8 for insecure, so TLS is tested on an address that is not of that network.
`/etc` and `/var/lib` are covered by overlays in memory: docker reads certificates from a fixed folder below the one,
podman and skopeo keep a cache of blob locations at a fixed place below the other.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.live.tools import run

OUTER_ADDRESS = "198.51.100.1"
"""An address that no client takes for its own machine's; it exists inside the cell only."""

_CONTAINERS_CONF = """[containers]
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
events_logger = "file"
"""


def enter(scratch: Path, arguments: list[str], package: str = "tests.live") -> int:
    """Run a package again inside a new cell and return its exit status."""
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    inside = [sys.executable, "-m", package, "--inside", str(scratch), *arguments]
    return subprocess.run([*namespaces, *inside], env=_environment(scratch)).returncode


def _environment(scratch: Path) -> dict[str, str]:
    """What clients see: nothing of the user's, such as proxies, credentials and configuration."""
    folders = {"HOME": "home", "TMPDIR": "tmp", "XDG_RUNTIME_DIR": "home/run"}
    for folder in folders.values():
        (scratch / folder).mkdir(parents=True, exist_ok=True)
    own = {name: str(scratch / folder) for name, folder in folders.items()}
    path = os.environ["PATH"] + os.pathsep + "/usr/sbin:/sbin"
    return {"PATH": path, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **own}


def furnish(scratch: Path, covered: tuple[str, ...] = ("/etc", "/var/lib")) -> Path:
    """Prepare the cell from inside: addresses, private system folders, the containers tools' configuration.

    :param covered: the machine's folders that nothing is really written to.

    Return where the scratch folder is to be found: a path that is short wherever the machine keeps its temporary
    files, since podman takes a run root of at most 50 characters and a Unix socket's path may have 107.
    """
    run("ip", "link", "set", "lo", "up")
    run("ip", "address", "add", f"{OUTER_ADDRESS}/32", "dev", "lo")
    for folder in covered:
        _cover(folder, scratch / "covers" / folder.replace("/", "-"))
    for folder in ("/run", "/dev/shm"):
        run("mount", "-t", "tmpfs", "tmpfs", folder)
    _write(Path("/etc/containers/containers.conf"), _CONTAINERS_CONF)
    _write(Path("/etc/containers/policy.json"), '{"default": [{"type": "insecureAcceptAnything"}]}')
    _write(Path("/etc/containers/registries.conf"), "unqualified-search-registries = []\n")
    short = Path("/run/suite")
    short.mkdir()
    run("mount", "--bind", str(scratch), str(short))
    return short


def _cover(folder: str, memory: Path) -> None:
    """Let writes to a folder of the machine go to memory."""
    memory.mkdir(parents=True)
    run("mount", "-t", "tmpfs", "tmpfs", str(memory))
    upper, work = memory / "upper", memory / "work"
    upper.mkdir()
    work.mkdir()
    run("mount", "-t", "overlay", "overlay", "-o", f"lowerdir={folder},upperdir={upper},workdir={work}", folder)


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def mount_read_only(folder: Path) -> None:
    """Make a folder read-only, for root too."""
    run("mount", "--bind", str(folder), str(folder))
    run("mount", "-o", "remount,bind,ro", str(folder))


def unmount_below(folder: Path) -> None:
    """Undo every mount at or below a folder, the newest first: clients leave some behind."""
    lines = Path("/proc/self/mounts").read_text().splitlines()
    for mounted in reversed([line.split()[1] for line in lines]):
        if Path(mounted).is_relative_to(folder):
            run("umount", "--lazy", mounted)
