"""What the user of `pkgd rebuild` sees: lines, or one JSON document; on a terminal a bar below them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TextIO

from pkgd.packages.rebuilding import Outcome
from pkgd.packages.recovery import Recovered, summary

__all__ = ["Bar", "Silent", "as_json", "lines"]

_SHOWN = 20


class Silent:
    """Implements `Progress`: nobody looks."""

    def begin(self, what: str, total: int) -> None:
        """See `Progress`."""

    def advance(self, count: int = 1) -> None:
        """See `Progress`."""

    def is_over(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing more happens."""


class Bar:
    """Implements `Progress`: a bar for each thing that is rebuilt."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._bar: Any = None

    def begin(self, what: str, total: int) -> None:
        """See `Progress`."""
        from tqdm import tqdm

        self.close()
        self._bar = tqdm(desc=what, total=total, unit="", file=self._terminal, dynamic_ncols=True, leave=False)

    def advance(self, count: int = 1) -> None:
        """See `Progress`."""
        self._bar.update(count)

    def is_over(self) -> bool:
        """Never."""
        return False

    def close(self) -> None:
        """Nothing more happens."""
        if self._bar is not None:
            self._bar.close()


def lines(recovered: Recovered) -> Iterator[str]:
    """What became of a repository, for people."""
    for one in recovered.outcomes:
        yield from _outcome(f"{recovered.name}/{one.suite}" if one.suite else recovered.name, one)
    yield from _list(f"{recovered.name}: files that nothing names", recovered.orphans)
    yield from _list(f"{recovered.name}: removed, for nothing names them", recovered.discarded)


def as_json(repositories: int | None, recovered: Sequence[Recovered]) -> str:
    """All of it, for programs."""
    document: Mapping[str, object] = {"oci_repositories": repositories, "packages": [summary(one) for one in recovered]}
    return json.dumps(document, indent=1)


def _outcome(name: str, one: Outcome) -> Iterator[str]:
    if one.problem:
        yield f"{name}: not rebuilt: {one.problem}"
    elif not one.generation:
        yield f"{name}: nothing has been published there yet"
    else:
        adopted = f", {one.adopted} of them adopted" if one.adopted else ""
        yield f"{name}: generation {one.generation} with {one.packages} packages{adopted}"
        if not one.is_exact:
            yield f"{name}: records were lost; what had just been taken out may be back"
    yield from _list(f"{name}: damaged or missing records", one.damaged_records)
    yield from _list(f"{name}: MISSING files of packages", one.missing)
    yield from _list(f"{name}: DAMAGED files of packages, set aside", [f"{path}: {why}" for path, why in one.damaged])
    yield from _list(f"{name}: LEFT OUT", [f"{path}: {why}" for path, why in one.left_out])


def _list(title: str, found: Sequence[str]) -> Iterator[str]:
    if found:
        yield f"{title}: {len(found)}"
        yield from (f"  {one}" for one in found[:_SHOWN])
        if len(found) > _SHOWN:
            yield f"  … and {len(found) - _SHOWN} more (--json has all)"
