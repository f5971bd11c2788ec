"""pkgd of any checkout, with one configuration for all; who asks is somebody, for accounts are part of the state."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.crash.server import ROOT
from tests.modes.server import Answer, ModalPkgd, basic

__all__ = ["OnTree", "Release"]


class Release(ModalPkgd):
    """pkgd of the code in `code`, which may be another from one start to the next."""

    mode = "basic"
    code: Path = ROOT

    def environment(self) -> dict[str, str]:
        """Its own code comes first, whatever is installed."""
        return {"PYTHONPATH": str(self.code)}

    def command(self) -> list[str]:
        """Not from the directory that the suite runs in."""
        return [sys.executable, "-P", *super().command()[1:]]

    def ask(self, method: str, target: str, headers: dict[str, str] | None = None, body: bytes = b"") -> Answer:
        """As alice, unless the headers say who it is."""
        return super().ask(method, target, {**basic(), **(headers or {})}, body)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """A command of pkgd's, with the same code and configuration: its name's words, then `--` and the others."""
        names, rest = words[: words.index("--")], words[words.index("--") + 1 :]
        command = [*self.command()[:-3], *names, *self.command()[-2:], *rest]
        return subprocess.run(command, env=os.environ | self.environment(), capture_output=True, text=True, check=False)

    def where(self) -> Path:
        """Where the code really comes from."""
        command = [sys.executable, "-P", "-c", "import pkgd; print(pkgd.__file__)"]
        done = subprocess.run(command, env=os.environ | self.environment(), capture_output=True, text=True, check=True)
        return Path(done.stdout.strip())


class OnTree(Release):
    """pkgd of this checkout on a tree that stands elsewhere, as a mirror whose upstream can't be reached."""

    mode = "none"

    @property
    def tree(self) -> Path:
        """Beside the state, not in it."""
        return self.state.parent / "original"

    def configuration(self) -> dict[str, object]:
        """The tree, and the upstream."""
        found = super().configuration()
        filesystem = {"root": str(self.tree), "min_free": self.min_free}
        registries = {"registry.example.com": {"url": "http://127.0.0.1:9"}}
        return {
            **found,
            "storage": {"filesystem": filesystem},
            "enableProxy": True,
            "mirror": {"registries": registries},
        }
