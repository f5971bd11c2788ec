"""What stands in a Markdown file between fences: files with their paths, and commands.

A file's block has its path behind the language, `HOST:PATH` where the recipe has several hosts. Blocks of `sh` are
commands.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

COOKBOOK = Path(__file__).parents[2] / "docs/cookbook"
_FENCE = re.compile(r"^```(?P<language>\w*)(?: (?P<path>\S+))?\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


class Absent(Exception):
    """The recipe has no such block, or several."""


@dataclass(frozen=True)
class Block:
    """What is between two fences."""

    language: str
    path: str
    text: str


@dataclass(frozen=True)
class Recipe:
    """One page."""

    name: str
    blocks: tuple[Block, ...]

    @classmethod
    def read(cls, name: str) -> Recipe:
        """A recipe of the cookbook."""
        return cls.parse(name, (COOKBOOK / f"{name}.md").read_text(encoding="utf-8"))

    @classmethod
    def parse(cls, name: str, text: str) -> Recipe:
        """A page."""
        blocks = (Block(one["language"], one["path"] or "", one["text"]) for one in _FENCE.finditer(text))
        return cls(name, tuple(blocks))

    def files(self, path: str) -> list[str]:
        """All files of that path, in the order in which they stand."""
        return [one.text for one in self.blocks if one.path == path]

    def file(self, path: str, having: str = "") -> str:
        """The file of that path which has a text in it."""
        found = [one for one in self.files(path) if having in one]
        if len(found) != 1:
            raise Absent(f"{self.name}: {len(found)} files {path} with {having!r}")
        return found[0]

    def commands(self) -> list[str]:
        """All blocks of commands."""
        return [one.text for one in self.blocks if one.language == "sh"]

    def command(self, having: str) -> str:
        """The commands of the block which has a text in it."""
        found = [one for one in self.commands() if having in one]
        if len(found) != 1:
            raise Absent(f"{self.name}: {len(found)} blocks of commands with {having!r}")
        return found[0]


def recipes() -> list[Recipe]:
    """Every page of the cookbook."""
    return [Recipe.read(path.stem) for path in sorted(COOKBOOK.glob("*.md"))]
