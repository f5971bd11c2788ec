"""The command `pkgd version`: exactly what was built."""

from __future__ import annotations

import json
from typing import Any

from twisted.python import usage

from pkgd.built import Build, built

__all__ = ["VersionOptions", "run"]


class VersionOptions(usage.Options):
    """The command line."""

    longdesc = "Prints the version, the commit that it was built from, and which Python and Twisted it runs on."
    optFlags = [["json", None, "Print it as JSON."]]


def run(options: Any) -> None:
    """Print it."""
    build = built()
    print(json.dumps(build.describe()) if options["json"] else _text(build))


def _text(build: Build) -> str:
    commit = f"{build.commit or 'unknown'}{', modified' if build.modified else ''}"
    release = "none" if build.release is None else str(build.release)
    facts = {"release": release, "commit": commit, "python": build.python, "twisted": build.twisted}
    return "\n".join([f"pkgd {build.version}", *(f"{name + ':':9}{value}" for name, value in facts.items())])
