"""A machine with a systemd of its own: Debian in a container that has no network but its own loopback."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.live.tools import CommandFailed, run, wait_for

_ENGINE = """\
[containers]
default_ulimits = ["nofile=16384:16384", "nproc=4096:4096"]
[engine]
runtime = "runc"
"""
_PACKAGES = "apt,systemd,systemd-sysv,dbus,curl"


class Machine:
    """One machine, which runs from `start` to `remove`."""

    def __init__(self, folder: Path, name: str) -> None:
        self.root = folder / "root"
        self._name = name
        self._engine = folder / "containers.conf"
        self._engine.write_text(_ENGINE)
        self._folder = folder

    def start(self) -> None:
        """Make it, and wait until its systemd has started everything."""
        run(
            "mmdebstrap",
            "--quiet",
            "--variant=essential",
            "--dpkgopt=force-unsafe-io",
            f"--include={_PACKAGES}",
            "bookworm",
            str(self.root),
        )
        self._podman(
            *("run", "--detach", "--name", self._name, "--runtime", "runc", "--privileged", "--network", "none"),
            *("--systemd=always", "--rootfs", str(self.root), "/lib/systemd/systemd"),
        )
        # So it is where systemd is the first process of all. Otherwise what it mounts for a unit's credentials
        # doesn't reach the unit, and who isn't root finds an empty directory that is closed to it.
        self.shell("mount --make-rshared /")
        wait_for(
            "systemd", lambda: self.shell("systemctl is-system-running || true").strip() in ("running", "degraded")
        )

    def remove(self) -> None:
        """End it."""
        self._podman("rm", "--force", "--time", "5", "--ignore", self._name)
        shutil.rmtree(self.root, ignore_errors=True)

    def shell(self, script: str, timeout: float = 120) -> str:
        """Run a script on it, to its end, and give what it prints."""
        return run(*self._words("exec", self._name, "sh", "-euc", script), timeout=timeout)

    def fails(self, script: str) -> bool:
        """Whether a script fails."""
        try:
            self.shell(script)
        except CommandFailed:
            return True
        return False

    def show(self, *properties: str) -> list[str]:
        """What systemd says of pkgd.service."""
        words = " ".join(f"-p {one}" for one in properties)
        said = dict(line.split("=", 1) for line in self.shell(f"systemctl show {words} pkgd.service").splitlines())
        return [said[one] for one in properties]

    def journal(self) -> str:
        """What pkgd and systemd have logged about it."""
        return self.shell("journalctl --no-pager -o cat -u pkgd.service")

    def take(self, source: Path, target: str) -> None:
        """Put a file on it."""
        shutil.copy(source, self.root / target.lstrip("/"))

    def write(self, target: str, text: str, mode: int = 0o644) -> None:
        """Write a file on it."""
        path = self.root / target.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch(mode)
        path.chmod(mode)
        path.write_text(text)

    def _podman(self, *arguments: str) -> str:
        return run(*self._words(*arguments))

    def _words(self, *arguments: str) -> tuple[str, ...]:
        storage = ("--root", str(self._folder / "storage"), "--runroot", str(self._folder / "run"))
        return ("env", f"CONTAINERS_CONF={self._engine}", "podman", *storage, "--cgroup-manager=cgroupfs", *arguments)
