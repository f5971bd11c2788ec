"""Namespaces of the suite's own: a network with loopback only, where every address is the suite's to give.

What a case calls public or private is an address of the loopback device, so that nothing leaves the machine, and
what must not be reached can be listened on.
Names are resolved by the suite's own server.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.live.tools import CommandFailed, run
from tests.upstream import places

_RESOLVER = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n"
_HOSTS = "127.0.0.1 localhost\n::1 localhost\n"
_ORDER = "hosts: files dns\n"


def enter(scratch: Path, arguments: list[str]) -> int:
    """Run this package again inside a new cell and return its exit status."""
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    if os.geteuid() != 0:
        namespaces.append("--map-root-user")
    inside = [sys.executable, "-m", "tests.upstream", "--inside", str(scratch), *arguments]
    return subprocess.run([*namespaces, *inside], env=os.environ | {"PYTHONUNBUFFERED": "1"}).returncode


def furnish(scratch: Path) -> bool:
    """Prepare the cell from inside; whether it has IPv6."""
    run("ip", "link", "set", "lo", "up")
    for address in (places.PUBLIC, *places.MORE_PUBLIC, *filter(_is_v4, places.FORBIDDEN)):
        if not address.startswith("127."):
            run("ip", "address", "add", f"{address}/32", "dev", "lo")
    for name, text in (("resolv.conf", _RESOLVER), ("hosts", _HOSTS), ("nsswitch.conf", _ORDER)):
        _replace(Path("/etc") / name, scratch / name, text)
    return _add_v6()


def _is_v4(address: str) -> bool:
    return ":" not in address


def _add_v6() -> bool:
    try:
        for address in places.FORBIDDEN:
            if not _is_v4(address) and address != "::1":
                run("ip", "-6", "address", "add", f"{address}/128", "dev", "lo", "nodad")
    except CommandFailed:
        return False
    return True


def _replace(target: Path, source: Path, text: str) -> None:
    """Lay a file of the suite's own over one of the system, within the cell."""
    source.write_text(text)
    target.touch(exist_ok=True)
    run("mount", "--bind", str(source), str(target.resolve()))
