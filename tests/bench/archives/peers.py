"""aptly, reprepro and createrepo_c, each set to write what pkgd writes: gz alone, signed, no Contents, no databases.

Their CPU time is that of the commands with all their children; GnuPG's agent, which signs for them, is left out.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from tests.bench.figures import Work
from tests.bench.tools import tool

__all__ = ["Aptly", "CreaterepoC", "Keys", "Peer", "Reprepro"]

_AT_ONCE = 5000


class PeerFailed(Exception):
    """A command of a peer has failed."""


class Keys:
    """A GnuPG home with a key of the kind that pkgd makes."""

    user = "bench@example.org"

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700, parents=True)
        self.environment = {**os.environ, "GNUPGHOME": str(home)}
        made = ["--quick-generate-key", self.user, "rsa3072", "sign", "never"]
        self._run("gpg", "--batch", "--quiet", "--passphrase", "", *made)

    def close(self) -> None:
        """End the agent."""
        self._run("gpgconf", "--kill", "all")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run([tool(program), *arguments], env=self.environment, check=True, capture_output=True)


class Peer:
    """A repository that commands keep. Implements `Archive`."""

    label = ""

    def __init__(self, folder: Path, keys: Keys) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.keys = keys

    def fill(self, packages: Sequence[Path]) -> None:
        """See `Archive.fill`."""
        raise NotImplementedError

    def add(self, packages: Sequence[Path]) -> Work:
        """See `Archive.add`: what the commands have written is what a web server would serve."""
        before, began = _children_seconds(), time.monotonic()
        for path in packages:
            self.add_one(path)
        return Work(len(packages), time.monotonic() - began, _children_seconds() - before)

    def add_one(self, package: Path) -> None:
        """Add and publish a package."""
        raise NotImplementedError

    def fetch(self, path: str) -> bytes:
        """See `Archive.fetch`."""
        return (self.served / path).read_bytes()

    @property
    def served(self) -> Path:
        """What a web server would serve of it."""
        return self.folder

    def run(self, program: str, *arguments: str) -> None:
        """Run a command.

        :raises PeerFailed: if it fails.
        """
        command = [tool(program), *arguments]
        done = subprocess.run(command, cwd=self.folder, env=self.keys.environment, capture_output=True, text=True)
        if done.returncode:
            raise PeerFailed(f"{' '.join(command)[:300]}: {done.stdout[-500:]} {done.stderr[-500:]}")


class Reprepro(Peer):
    """reprepro."""

    label = "reprepro"

    def fill(self, packages: Sequence[Path]) -> None:
        """See `Archive.fill`."""
        (self.folder / "conf").mkdir()
        (self.folder / "conf" / "distributions").write_text(
            "Codename: bench\nComponents: main\nArchitectures: amd64\nSignWith: yes\n"
            "DebIndices: Packages Release . .gz\n"
        )
        for start in range(0, len(packages), _AT_ONCE):
            some = map(str, packages[start : start + _AT_ONCE])
            self.run("reprepro", "--export=silent-never", "includedeb", "bench", *some)
        self.run("reprepro", "export", "bench")

    def add_one(self, package: Path) -> None:
        """See `Peer.add_one`."""
        self.run("reprepro", "includedeb", "bench", str(package))

    @property
    def served(self) -> Path:
        """See `Peer.served`."""
        return self.folder / "dists" / "bench"


class Aptly(Peer):
    """aptly."""

    label = "aptly"

    def fill(self, packages: Sequence[Path]) -> None:
        """See `Archive.fill`."""
        settings = {"rootDir": f"{self.folder}/aptly", "gpgProvider": "gpg", "architectures": ["amd64"]}
        (self.folder / "aptly.json").write_text(json.dumps(settings))
        self._aptly("repo", "create", "-distribution=bench", "-component=main", "bench")
        for start in range(0, len(packages), _AT_ONCE):
            self._aptly("repo", "add", "bench", *map(str, packages[start : start + _AT_ONCE]))
        self._aptly("publish", "repo", *self._how, "bench")

    def add_one(self, package: Path) -> None:
        """See `Peer.add_one`."""
        self._aptly("repo", "add", "bench", str(package))
        self._aptly("publish", "update", *self._how, "bench")

    @property
    def served(self) -> Path:
        """See `Peer.served`."""
        return self.folder / "aptly" / "public" / "dists" / "bench"

    @property
    def _how(self) -> tuple[str, ...]:
        return ("-batch", f"-gpg-key={self.keys.user}", "-skip-contents", "-skip-bz2")

    def _aptly(self, *arguments: str) -> None:
        self.run("aptly", f"-config={self.folder}/aptly.json", *arguments)


class CreaterepoC(Peer):
    """createrepo_c with --update, and gpg."""

    label = "createrepo_c"

    def fill(self, packages: Sequence[Path]) -> None:
        """See `Archive.fill`."""
        for path in packages:
            self._place(path)
        self._update()

    def add_one(self, package: Path) -> None:
        """See `Peer.add_one`."""
        self._place(package)
        self._update()

    def _place(self, package: Path) -> None:
        shutil.copy2(package, self.folder)

    def _update(self) -> None:
        self.run("createrepo_c", "--quiet", "--update", "--no-database", "--general-compress-type=gz", ".")
        self.run("gpg", "--batch", "--yes", "--armor", "--detach-sign", "repodata/repomd.xml")


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
