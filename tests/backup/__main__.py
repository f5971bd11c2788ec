"""Backups under load: `python -m tests.backup [--backups N] [--seed N]`.

Clients push images, move tags, delete, and upload and remove packages, while one backup after the other is taken, each
linked to the one before, and restored, which verifies it: nothing in any of them may lead nowhere. The last one is then
served: every image that it has is pulled byte for byte, and apt is content with its packages.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from tests.backup.images import Images
from tests.crash.packages.ledger import PackageLedger
from tests.crash.packages.load import Load
from tests.crash.packages.server import PackagePkgd
from tests.repositories.aptclient import Apt

# For so many seconds nobody uploads packages: what has been published stays for a day, and is in every backup.
_PAUSE = 10.0


def main() -> int:
    """Run it; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.backup", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--backups", type=int, default=100)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1 << 32))
    options = parser.parse_args()
    directory = Path(tempfile.mkdtemp(prefix="pkgd-backup-"))
    print(f"seed {options.seed}, {options.backups} backups, in {directory}")
    failures = _Run(directory, options.seed).all(options.backups)
    for one in failures[:10]:
        print(f"FAILED: {one}")
    if not failures:
        shutil.rmtree(directory)
    print(f"{options.backups + 1 - min(len(failures), options.backups + 1)} passed, {len(failures)} failed")
    return 1 if failures else 0


class _Run:
    def __init__(self, directory: Path, seed: int) -> None:
        self._directory = directory
        self._seed = seed
        self._server = PackagePkgd(free_port(), directory / "state", directory / "logs")
        self._failures: list[str] = []

    def all(self, count: int) -> list[str]:
        """What has failed."""
        self._server.start()
        try:
            last = self._under_load(count)
        finally:
            self._server.stop()
        self._failures += self._server.new_crash_notices()
        self._serve(last)
        return self._failures

    def _under_load(self, count: int) -> Path:
        images, ledger, ended = Images(self._server.web, str(self._seed)), PackageLedger(), threading.Event()
        packages = threading.Thread(target=self._packages, args=(ledger, ended))
        images.push("team/lasting", "v1", b"a layer")
        images.start()
        packages.start()
        previous: Path | None = None
        try:
            for number in range(count):
                previous = self._one(number, previous)
        finally:
            ended.set()
            images.stop()
            packages.join()
        self._failures += images.failures + ledger.failures
        print(f"meanwhile: {images.pushes} pushes, {images.deletes} deletes, {len(ledger.operations)} of packages")
        assert previous is not None
        return previous

    def _packages(self, ledger: PackageLedger, ended: threading.Event) -> None:
        number = 0
        while not ended.is_set():
            number += 1
            Load(self._server.web, ledger, f"{self._seed}-{number}").run(0.5)
            ended.wait(_PAUSE)

    def _one(self, number: int, previous: Path | None) -> Path:
        """Take a backup, and restore it; every tenth is also looked through as it is, and so is the changing state."""
        backup = self._directory / f"backup-{number}"
        self._pkgd("backup", *([] if previous is None else ["--previous", str(previous)]), str(backup))
        if number % 10 == 0:
            self._pkgd("verify", str(backup))
            self._pkgd("verify")
        restored = PackagePkgd(0, self._directory / "restored", self._directory / "restored-logs")
        self._pkgd("restore", str(backup), server=restored)
        shutil.rmtree(restored.state)
        if previous is not None:
            shutil.rmtree(previous)
        return backup

    def _pkgd(self, *words: str, server: PackagePkgd | None = None) -> None:
        configuration = (server or self._server).command()[-1]
        command = [sys.executable, "-m", "pkgd", words[0], "-c", configuration, *words[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            self._failures.append(f"{' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")

    def _serve(self, backup: Path) -> None:
        """Restore a backup, start pkgd on it, and use it."""
        server = PackagePkgd(free_port(), self._directory / "served", self._directory / "served-logs")
        self._pkgd("restore", str(backup), server=server)
        server.start()
        try:
            self._pull(server)
            apt = Apt(self._directory / "apt")
            apt.add_source(server.web.call("GET", "/apt/main/stable.sources").must_be(200).body)
            apt.update()
        finally:
            server.stop()
        self._failures += server.new_crash_notices()

    def _pull(self, server: PackagePkgd) -> None:
        """Every tag that the backup has, down to the bytes of its layers."""
        count = 0
        for repository in json.loads(server.web.call("GET", "/v2/_catalog").body)["repositories"]:
            tags = json.loads(server.web.call("GET", f"/v2/{repository}/tags/list").body)["tags"] or []
            for tag in tags:
                manifest = server.web.call("GET", f"/v2/{repository}/manifests/{tag}").must_be(200)
                found = json.loads(manifest.body)
                for one in [found["config"], *found["layers"]]:
                    blob = server.web.call("GET", f"/v2/{repository}/blobs/{one['digest']}").must_be(200).body
                    if f"sha256:{hashlib.sha256(blob).hexdigest()}" != one["digest"]:
                        self._failures.append(f"{repository}:{tag}: a blob is not what its digest says")
                count += 1
        print(f"pulled {count} images of the restored state")
        if not count:
            self._failures.append("nothing was there to be pulled")


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
