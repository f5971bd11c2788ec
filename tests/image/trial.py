"""What all that is shipped must do: serve a push, a pull and an upload, say that writes are open, and stop well."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from attrs import frozen

from tests.live.images import Image
from tests.live.tools import run, wait_for

URL = "http://127.0.0.1:8080"


class Running(Protocol):
    """A pkgd that has been started."""

    def healthcheck(self) -> None:
        """Ask it by `pkgd healthcheck`, where it runs."""

    def process(self) -> int:
        """The process that serves."""

    def stop(self) -> int:
        """Stop it as its runtime does; returns the exit status."""

    def log(self) -> str:
        """What it has said."""


@frozen
class Figures:
    """What was measured."""

    ready: float
    resident: float


def exercise(start: Callable[[], Running], image: Image, package: Path, scratch: Path) -> Figures:
    """Start one, use it, stop it.

    :raises AssertionError: if something is not as it must be.
    """
    begin = time.monotonic()
    running = start()
    try:
        wait_for("pkgd is ready", _ready, 30)
        figures = Figures(time.monotonic() - begin, resident_mib(running.process()))
        _push_and_pull(image, scratch)
        _upload(package)
        running.healthcheck()
    except BaseException as error:
        raise AssertionError(f"{error}\n{running.log()[-2000:]}") from error
    finally:
        status = running.stop()
    said = running.log()
    assert status == 0, f"it stopped with {status}\n{said}"
    assert "may push, overwrite and delete" in said, f"nothing says that writes are open\n{said}"
    assert "Traceback" not in said, said
    return figures


def _ready() -> bool:
    try:
        with urllib.request.urlopen(f"{URL}/ready", timeout=5) as answer:
            return bool(json.load(answer)["status"] == "ready")
    except OSError:
        return False


def _push_and_pull(image: Image, scratch: Path) -> None:
    name = "docker://127.0.0.1:8080/team/app:1"
    pulled = scratch / "pulled"
    run("skopeo", "copy", "--quiet", "--dest-tls-verify=false", image.source, name)
    run("rm", "-rf", str(pulled))
    run("skopeo", "copy", "--quiet", "--src-tls-verify=false", name, f"dir:{pulled}")
    assert run("skopeo", "manifest-digest", str(pulled / "manifest.json")).strip() == image.manifest.digest


def _upload(package: Path) -> None:
    url = f"{URL}/apt/main/stable/main/{package.name}"
    request = urllib.request.Request(url, package.read_bytes(), method="PUT")
    with urllib.request.urlopen(request, timeout=30) as answer:
        assert answer.status == 201
    with urllib.request.urlopen(f"{URL}/apt/main/dists/stable/main/binary-all/Packages.gz", timeout=30) as answer:
        assert answer.status == 200


def resident_mib(process: int) -> float:
    """The resident set of a process and its parent loader, in MiB."""
    pids = [process, *(int(one) for one in Path(f"/proc/{process}/task/{process}/children").read_text().split())]
    lines = [line for one in pids for line in Path(f"/proc/{one}/status").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024
