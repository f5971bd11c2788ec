"""Real packages of rpm: those in Debian's source packages, and one that rpmbuild makes."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from tests.oracles.sources import CACHE, NotAvailable, fetch_sources, members

__all__ = ["build_edge", "corpus", "written"]

_SOURCES = ("rpm", "dnf", "libdnf", "librepo")
_EDGE = Path(__file__).parent / "edge.spec"


def corpus() -> list[Path]:
    """The distinct packages in the sources, unpacked once."""
    place = CACHE / "rpms"
    done = place / "complete"
    if not done.exists():
        place.mkdir(parents=True, exist_ok=True)
        for name, data in members(fetch_sources(*_SOURCES), r"/S?RPMS/[^/]+$|\.rpm$"):
            if data.startswith(b"\xed\xab\xee\xdb"):
                written(place / f"{hashlib.sha256(data).hexdigest()[:12]}-{name.removesuffix('.rpm')}.rpm", data)
        done.touch()
    return sorted(place.glob("*.rpm"))


def build_edge(scratch: Path) -> Path:
    """Every awkward dependency in one package."""
    command = ["rpmbuild", "-bb", "--define", f"_topdir {scratch}/edge", str(_EDGE)]
    done = subprocess.run(command, capture_output=True, text=True)
    built = sorted((scratch / "edge" / "RPMS").rglob("*.rpm"))
    if done.returncode or not built:
        raise NotAvailable(f"rpmbuild: {done.stderr[-500:]}")
    return built[0]


def written(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path
