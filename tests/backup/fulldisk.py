"""A disk that is filled to its last byte under a running pkgd: `python -m tests.backup.fulldisk`. Needs root.

Pulls go on, pushes and uploads are answered 507, images are deleted, and with space again all goes on.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from tests.backup.__main__ import free_port
from tests.backup.images import Images
from tests.crash.packages.server import PackagePkgd
from tests.packages.fixtures import made_deb

_SIZE = "48m"
_PATIENCE = 10.0


class _Checks:
    """What is asked, one line each."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0

    def equal(self, what: str, found: object, *expected: object) -> None:
        """Count one."""
        good = found in expected
        self.passed, self.failed = self.passed + good, self.failed + (not good)
        print(f"{'ok' if good else 'FAILED'}: {what}: {found}")


def main() -> int:
    """Run it; returns the exit status."""
    checks = _Checks()
    with tempfile.TemporaryDirectory(prefix="pkgd-fulldisk-") as directory:
        disk = Path(directory, "disk")
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(disk)], check=True)
        try:
            server = PackagePkgd(free_port(), disk / "state", Path(directory, "logs"))
            server.start()
            try:
                _drill(server, disk, checks)
            finally:
                server.stop()
            checks.equal("tracebacks", server.new_crash_notices(), [])
        finally:
            subprocess.run(["umount", str(disk)], check=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


def _drill(server: PackagePkgd, disk: Path, checks: _Checks) -> None:
    web, images = server.web, Images(server.web, "0")
    digests = [images.push("team/app", f"v{number}", bytes([number]) * 1000) for number in range(4)]
    web.call("PUT", "/apt/main/stable/main/a.deb", made_deb("first")).must_be(201)
    filler = disk / "filler"
    with filler.open("wb", buffering=0) as file, suppress(OSError):
        for piece in (1 << 20, 4096, 1):
            with suppress(OSError):
                while file.write(bytes(piece)):
                    pass
    layer = hashlib.sha256(bytes(1000)).hexdigest()
    upload = hashlib.sha256(b"new").hexdigest()
    checks.equal("pull of a manifest", web.call("GET", "/v2/team/app/manifests/v0").status, 200)
    checks.equal("pull of a blob", web.call("GET", f"/v2/team/app/blobs/sha256:{layer}").status, 200)
    checks.equal("apt's InRelease", web.call("GET", "/apt/main/dists/stable/InRelease").status, 200)
    pushed = web.call("POST", f"/v2/team/app/blobs/uploads/?digest=sha256:{upload}", b"new")
    checks.equal("a push", pushed.status, 507)
    checks.equal("an upload", web.call("PUT", "/apt/main/stable/main/b.deb", made_deb("second")).status, 507)
    checks.equal("ready", web.call("GET", "/ready").status, 200)
    checks.equal("a tag is deleted", web.call("DELETE", "/v2/team/app/manifests/v3").status, 202)
    checks.equal("a manifest is deleted", web.call("DELETE", f"/v2/team/app/manifests/{digests[1]}").status, 202)
    checks.equal("it is gone", web.call("GET", "/v2/team/app/manifests/v1").status, 404)
    checks.equal("a blob is deleted", web.call("DELETE", f"/v2/team/app/blobs/sha256:{layer}").status, 202)
    filler.unlink()
    until = time.monotonic() + _PATIENCE
    while time.monotonic() < until:
        answer = web.call("POST", f"/v2/team/app/blobs/uploads/?digest=sha256:{upload}", b"new")
        if answer.status == 201:
            break
        time.sleep(0.2)
    checks.equal("a push, once there is space again", answer.status, 201)
    checks.equal("an upload", web.call("PUT", "/apt/main/stable/main/b.deb", made_deb("second")).status, 201)
    gone = web.call("DELETE", "/apt/main/stable/main/first_1.0_amd64.deb")
    checks.equal("a package is taken out", gone.status, 200, 204)


if __name__ == "__main__":
    sys.exit(main())
