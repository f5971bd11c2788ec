"""The command `pkgd version`, and the option `--version`."""

from __future__ import annotations

import json

from pkgd import __version__
from pkgd.built import built
from tests.test_main import CommandCase, Run, run


class VersionTests(CommandCase):
    """Exactly what was built."""

    def test_text(self) -> None:
        """For people a fact a line; the first names the version."""
        build = built()

        expected = [
            f"pkgd {__version__}",
            "release: none",
            "commit:  unknown",
            f"python:  {build.python}",
            f"twisted: {build.twisted}",
        ]
        self.assertEqual(run("version"), Run(0, "".join(f"{line}\n" for line in expected), ""))

    def test_json(self) -> None:
        """For machines the same as JSON."""
        self.assertEqual(json.loads(run("version", "--json").output), built().describe())

    def test_option(self) -> None:
        """As an option it is the version alone."""
        self.assertEqual(run("--version"), Run(0, f"{__version__}\n", ""))
