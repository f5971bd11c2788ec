"""The cookbook says what `pkgd client-setup` says, and its configurations are ones that pkgd takes."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from pkgd.clientsetup.clients import set_up
from pkgd.clientsetup.model import Commands, File, Lines, Part
from pkgd.commands import client_setup
from pkgd.config import load
from tests.cookbook.markdown import Recipe, recipes
from tests.test_main import CommandCase

# What the server knows of itself; in recipes it is abridged.
_SERVED_BY_SERVER = ("/etc/apt/sources.list.d/", "/etc/yum.repos.d/")


def parts_shown(recipe: Recipe) -> Iterator[tuple[str, list[Part]]]:
    """Each `pkgd client-setup` of a recipe that shows what is printed, and what that is."""
    for line in "".join(recipe.commands()).splitlines():
        if line.startswith("pkgd client-setup ") and "--install" not in line and "--url" in line:
            options = client_setup.ClientSetupOptions()
            options.parseOptions(shlex.split(line)[2:])
            yield line, set_up(options["client"], client_setup.target_of(options), "")


class TextTests(SynchronousTestCase):
    """Texts in the cookbook."""

    def test_same(self) -> None:
        """Behind every such command the recipe shows exactly the files and lines that the command prints."""
        seen = set()
        for recipe in recipes():
            if recipe.name == "README":
                continue
            for line, parts in parts_shown(recipe):
                seen.add(line.split()[2])
                for one in parts:
                    self._is_shown(recipe, line, one)
        self.assertLessEqual({"containerd", "cri-o", "podman", "docker", "apt", "zypper", "dput", "gitlab-ci"}, seen)

    def _is_shown(self, recipe: Recipe, line: str, part: Part) -> None:
        match part:
            case File(path, text) if not path.startswith(_SERVED_BY_SERVER):
                self.assertIn(text, recipe.files(path), line)
            case Lines(path, text) if recipe.files(path):
                shown = text.partition("\n")[2] if text.startswith("# ") else text
                self.assertTrue(any(one.endswith(shown) for one in recipe.files(path)), f"{line}: {text}")
            case Commands(text) if text.startswith("zypper"):
                self.assertIn(text, recipe.commands(), line)


class ConfigurationTests(CommandCase):
    """Configurations in the cookbook."""

    def test_valid(self) -> None:
        """pkgd takes each of them."""
        count = 0
        for recipe in recipes():
            for block in recipe.blocks:
                if block.path.endswith("/etc/pkgd/pkgd.yaml"):
                    load(self.write(block.text), {})
                    count += 1
        self.assertGreater(count, 8)
