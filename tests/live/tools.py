"""The machine's programs: installing them, running them once, and keeping them running."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import debian

PACKAGES: dict[str, tuple[str, ...]] = {
    "podman": ("podman",),
    "skopeo": ("skopeo",),
    "buildah": ("buildah",),
    "runc": ("runc",),
    "dockerd": ("docker.io",),
    "docker": ("docker-cli", "docker.io"),
    "containerd": ("containerd",),
    "ctr": ("containerd",),
    "nginx": ("nginx-light", "nginx"),
    "docker-registry": ("docker-registry",),
    "zstd": ("zstd",),
    "gzip": ("gzip",),
    "tar": ("tar",),
    "node": ("nodejs",),
    "npm": ("npm",),
    "chromium": ("chromium",),
    "curl": ("curl",),
    "prometheus": ("prometheus",),
    "promtool": ("prometheus",),
    "ip": ("iproute2",),
    "unshare": ("util-linux",),
}
"""The Debian package of each program; where releases of Debian differ, each one's."""

GO_MODULES: dict[str, str] = {
    "crane": "github.com/google/go-containerregistry/cmd/crane@v0.22.1",
    "helm": "helm.sh/helm/v3/cmd/helm@v3.22.0",
    "oras": "oras.land/oras/cmd/oras@v1.3.6",
}
"""Programs that are in no Debian package: what Go builds them from."""


class CommandFailed(Exception):
    """A command ended with a status other than 0, or not at all."""

    def __init__(self, command: tuple[str, ...], outcome: str, output: str) -> None:
        last_lines = "\n".join(output.strip().splitlines()[-30:])
        super().__init__(f"$ {' '.join(command)}\n{last_lines}\n{outcome}")


class NotInTime(Exception):
    """Something awaited did not come."""


def install(programs: list[str]) -> None:
    """Install the Debian packages of those programs that this machine lacks, and build those that Go must build."""
    for program in programs:
        failures = ""
        if program in GO_MODULES:
            _build(program)
            continue
        for package in PACKAGES[program]:
            if shutil.which(program) is None:
                failures += _install_package(package)
        if shutil.which(program) is None:
            raise FileNotFoundError(f"{program} is absent, and cannot be installed\n{failures}")


def _install_package(package: str) -> str:
    """Try to install a package; return what was said if that failed."""
    try:
        debian.install([package])
    except subprocess.CalledProcessError as error:
        return f"{error}\n{error.stderr}\n"
    return ""


def _build(program: str) -> None:
    """Try to build a program; where that fails its own cases fail, and no others."""
    if shutil.which(program) is None:
        try:
            run("env", "GOBIN=/usr/local/bin", "go", "install", GO_MODULES[program])
        except CommandFailed as error:
            print(f"{program} cannot be built\n{error}")


def must_be_there(program: str) -> None:
    """Raise FileNotFoundError if the program could not be built."""
    if shutil.which(program) is None:
        raise FileNotFoundError(f"{program} is absent, and cannot be built: go install {GO_MODULES[program]}")


def run(*command: str, timeout: float = 600, standard_input: Path | None = None) -> str:
    """Run a command to its end and return what it printed on standard output."""
    with (standard_input or Path(os.devnull)).open("rb") as source:
        try:
            done = subprocess.run(command, stdin=source, capture_output=True, timeout=timeout)
        except subprocess.TimeoutExpired as error:
            raise CommandFailed(command, f"no end after {timeout:.0f} s", _text(error.stderr)) from None
    if done.returncode != 0:
        raise CommandFailed(command, f"exit status {done.returncode}", _text(done.stdout) + _text(done.stderr))
    return _text(done.stdout)


def must_fail(reason: str, *command: str) -> None:
    """Run a command that must fail and say why in words that contain `reason`."""
    try:
        run(*command)
    except CommandFailed as error:
        if reason not in str(error):
            raise
    else:
        raise CommandFailed(command, f"succeeded, but must fail with {reason!r}", "")


def _text(output: bytes | None) -> str:
    return (output or b"").decode(errors="replace")


def wait_for(what: str, probe: Callable[[], bool], seconds: float = 30) -> None:
    """Return as soon as `probe` is true; raise NotInTime after `seconds`."""
    end = time.monotonic() + seconds
    while not probe():
        if time.monotonic() > end:
            raise NotInTime(f"{what}: not within {seconds:.0f} s")
        time.sleep(0.05)


class Daemon:
    """A program that runs beside the cases, its output in a file."""

    def __init__(self, name: str, command: list[str], log: Path) -> None:
        self.name = name
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)

    def wait_until(self, probe: Callable[[], bool], seconds: float = 30) -> None:
        """Wait for the daemon to serve; an early end of it is reported with its last lines."""
        try:
            wait_for(f"{self.name} serving", lambda: self._ended() or probe(), seconds)
        except NotInTime as error:
            raise NotInTime(f"{error}\n{self.last_lines()}") from None
        if self._ended():
            raise NotInTime(f"{self.name} ended with {self._process.returncode}\n{self.last_lines()}")

    def _ended(self) -> bool:
        return self._process.poll() is not None

    def stop(self, seconds: float = 40) -> int:
        """Ask the daemon to end and return its exit status; one that doesn't end is killed."""
        if not self._ended():
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise NotInTime(f"{self.name} did not end within {seconds:.0f} s of SIGTERM") from None

    def kill(self) -> None:
        """End the daemon at once, if it still runs."""
        self._process.kill()
        self._process.wait()

    def last_lines(self) -> str:
        """The end of the daemon's output."""
        return last_lines(self.log)


def last_lines(log: Path) -> str:
    """The last lines of a log, none of them excessively long."""
    lines = log.read_text(errors="replace").splitlines()[-8:]
    return "\n".join(textwrap.shorten(line, 400) for line in lines)


@contextmanager
def running(daemon: Daemon) -> Iterator[Daemon]:
    """Stop the daemon when the block ends, whatever its exit status."""
    try:
        yield daemon
    finally:
        daemon.stop()
