"""What users of `backup`, `restore` and `verify` see: lines, or one JSON document; on a terminal a bar of bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, TextIO

from pkgd.backup.checking import Findings
from pkgd.backup.taking import Taken

__all__ = ["Bar", "Silent", "findings_json", "findings_lines", "taken_json", "taken_lines"]

_SHOWN = 20


class Silent:
    """Implements `Progress`: nobody looks."""

    def begin(self, what: str, total: int | None) -> None:
        """See `Progress`."""

    def advance(self, size: int) -> None:
        """See `Progress`."""

    def close(self) -> None:
        """Nothing more happens."""


class Bar:
    """Implements `Progress`: a bar of bytes."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal = terminal
        self._bar: Any = None

    def begin(self, what: str, total: int | None) -> None:
        """See `Progress`."""
        from tqdm import tqdm

        self.close()
        shown: dict[str, Any] = {"unit": "B", "unit_scale": True, "dynamic_ncols": True, "leave": False}
        self._bar = tqdm(desc=what, total=total, file=self._terminal, **shown)

    def advance(self, size: int) -> None:
        """See `Progress`."""
        self._bar.update(size)

    def close(self) -> None:
        """Nothing more happens."""
        if self._bar is not None:
            self._bar.close()


def taken_lines(directory: str, taken: Taken) -> Iterator[str]:
    """What became of a backup, for people."""
    yield f"{directory}: {taken.files} files, {taken.size} bytes"
    yield from _list("the state lacks", [f"{what}, named by {who}" for who, what in taken.lacking])
    yield from _list("the state has DAMAGED files, which are in the backup as they are", taken.damaged)


def taken_json(directory: str, taken: Taken) -> str:
    """Likewise, for programs."""
    document = {
        "backup": directory,
        "files": taken.files,
        "bytes": taken.size,
        "lacking": [{"by": who, "what": what} for who, what in taken.lacking],
        "damaged": list(taken.damaged),
    }
    return json.dumps(document, indent=1)


def findings_lines(what: str, findings: Findings) -> Iterator[str]:
    """What a verification has found, for people."""
    verdict = "all is well" if findings.is_well else f"{len(findings.problems)} PROBLEMS"
    yield (
        f"{what}: {findings.files} files of {findings.repositories} image repositories and"
        f" {findings.suites} suites and rpm repositories: {verdict}"
    )
    yield from (f"  {one}" for one in findings.notes)
    yield from _list("problems", [f"{where}: {wrong}" for where, wrong in findings.problems])


def findings_json(what: str, findings: Findings) -> str:
    """Likewise, for programs."""
    document = {
        "verified": what,
        "files": findings.files,
        "image_repositories": findings.repositories,
        "suites": findings.suites,
        "notes": list(findings.notes),
        "problems": [{"where": where, "what": wrong} for where, wrong in findings.problems],
    }
    return json.dumps(document, indent=1)


def _list(title: str, found: Sequence[str]) -> Iterator[str]:
    if found:
        yield f"{title}: {len(found)}"
        yield from (f"  {one}" for one in found[:_SHOWN])
        if len(found) > _SHOWN:
            yield f"  … and {len(found) - _SHOWN} more (--json has all)"
