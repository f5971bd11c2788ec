"""Where files go: `--repo`, `--suite` and `--component` to the path of each file."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

from attrs import frozen

from pkgd.errors import ConfigError

__all__ = ["Target"]

_NAME = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*(?:/[a-z0-9]+(?:[._-]+[a-z0-9]+)*)*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+_~-]*")


@frozen
class Target:
    """A repository, and for apt a suite and a component of it."""

    kind: str
    name: str
    suite: str = ""
    component: str = ""

    @classmethod
    def parse(cls, repository: str, suite: str | None, component: str | None) -> Target:
        """Read the options.

        :raises ConfigError: with the option that is wrong or missing.
        """
        kind, _, name = repository.partition(":")
        if kind not in ("apt", "rpm") or not _NAME.fullmatch(name) or (kind == "apt" and "/" in name):
            raise ConfigError("--repo", f"{repository} is neither apt:NAME nor rpm:NAME")
        if kind == "rpm":
            if suite is not None or component is not None:
                raise ConfigError("--suite", "rpm repositories have neither suites nor components")
            return cls(kind, name)
        if suite is None:
            raise ConfigError("--suite", "is needed for an apt repository")
        for option, word in (("--suite", suite), ("--component", component)):
            if word is not None and not _WORD.fullmatch(word):
                raise ConfigError(option, f"{word!r} cannot be one")
        return cls(kind, name, suite, component or "main")

    def path(self, file_name: str) -> str:
        """Where a file is put."""
        below = [self.suite, self.component, file_name] if self.kind == "apt" else [file_name]
        return f"/{self.kind}/{self.name}/" + "/".join(quote(part, safe="") for part in below)

    def groups(self, files: Sequence[str]) -> list[list[str]]:
        """The files in groups that are put one after the other: what closes a set comes after what belongs to it."""
        closing = [one for one in files if one.endswith(".dsc")]
        return [[one for one in files if one not in closing], closing]

    def __str__(self) -> str:
        where = f" {self.suite}/{self.component}" if self.suite else ""
        return f"{self.kind}:{self.name}{where}"
