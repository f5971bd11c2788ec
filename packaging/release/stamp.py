#!/usr/bin/env python3
"""Writes the stamp of a build: which release it is, and from which commit (pkgd/built.py reads it).

    stamp.py OUTPUT

OUTPUT is `…/pkgd/_build.json` in the directory of the build, never in a work tree. The number of the release is
what the file `.release` at the root of the tree says; a build without that file is nobody's release.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def git(root: Path, *arguments: str) -> str | None:
    """What git says about the tree; None if it is no clone, or git is absent."""
    try:
        command = ["git", "-c", f"safe.directory={root}", "-C", str(root), *arguments]
        found = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return None
    return found.stdout.strip()


def stamp(root: Path) -> dict[str, object]:
    """The facts, of the tree as it is."""
    number = root / ".release"
    release = int(number.read_text(encoding="ascii")) if number.exists() else None
    return {
        "release": release,
        "commit": git(root, "rev-parse", "HEAD"),
        "modified": bool(git(root, "status", "--porcelain")),
    }


def main() -> int:
    """Write it."""
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        return 2
    Path(sys.argv[1]).write_text(json.dumps(stamp(ROOT), sort_keys=True) + "\n", encoding="ascii")
    return 0


if __name__ == "__main__":
    sys.exit(main())
