"""Bits flipped in stored files, as disks do it: `pkgd scrub` finds each, beside the daemon, and none is served."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from pathlib import Path

from tests.crash.packages.server import HastyPackages
from tests.packages.fixtures import made_deb
from tests.packages.test_rpm import made_rpm
from tests.repositories.web import Web

__all__ = ["flips"]

_PACKAGES = 10


def flips(directory: Path, port: int, count: int, seed: int) -> list[str]:
    """What has failed."""
    rng = random.Random(seed)
    server = HastyPackages(port, directory / "state", directory / "logs")
    server.start()
    try:
        files = _populate(server.web, server.state, count - 2 * _PACKAGES, rng)
        for path in files.values():
            _flip(path, rng)
        command = [sys.executable, "-m", "pkgd", "scrub", "-c", server.command()[-1], "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = json.loads(done.stdout)["damage"]
        print(f"flips: {len(found)} of {len(files)} found; exit status {done.returncode}")
        failures = [] if len(found) == len(files) == count else [f"{len(found)} of {count} flips were found"]
        failures += [f"{url}: served" for url in files if server.web.call("GET", url).status != 404]
        if f"pkgd_scrub_corrupt_objects_total {count:.1f}" not in server.web.call("GET", "/metrics").text:
            failures.append("the metric does not say how many were found")
    finally:
        server.stop()
    return failures + server.new_crash_notices()


def _populate(web: Web, state: Path, blobs: int, rng: random.Random) -> dict[str, Path]:
    """Push blobs and packages; the files, by the paths of their URLs."""
    files = {}
    for number in range(blobs):
        data, name = rng.randbytes(rng.randrange(1, 4000)) + number.to_bytes(4, "big"), f"team/r{number % 7}"
        digest = hashlib.sha256(data).hexdigest()
        headers = {"Content-Type": "application/octet-stream"}
        web.call("POST", f"/v2/{name}/blobs/uploads/?digest=sha256:{digest}", data, headers).must_be(201)
        files[f"/v2/{name}/blobs/sha256:{digest}"] = state / "oci" / name / "blobs" / digest
    for number in range(_PACKAGES):
        web.call("PUT", f"/apt/main/stable/main/p{number}.deb", made_deb(f"p{number}")).must_be(201)
        web.call("PUT", f"/rpm/main/p{number}.rpm", made_rpm(f"p{number}")).must_be(201)
    for pattern in ("apt/*/pool/**/*.deb", "rpm/*/Packages/**/*.rpm"):
        files |= {f"/{path.relative_to(state)}": path for path in state.glob(pattern)}
    return files


def _flip(path: Path, rng: random.Random) -> None:
    found, data = path.stat(), bytearray(path.read_bytes())
    data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    path.write_bytes(data)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
