"""What users of `backup`, `restore` and `verify` see: lines, or one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator

from pkgd.backup.checking import Findings
from pkgd.backup.taking import Taken
from pkgd.terminal import listing

__all__ = ["findings_json", "findings_lines", "taken_json", "taken_lines"]


def taken_lines(directory: str, taken: Taken) -> Iterator[str]:
    """What became of a backup, for people."""
    yield f"{directory}: {taken.files} files, {taken.size} bytes"
    yield from listing("the state lacks", [f"{what}, named by {who}" for who, what in taken.lacking])
    yield from listing("the state has DAMAGED files, which are in the backup as they are", taken.damaged)


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
    yield from listing("problems", [f"{where}: {wrong}" for where, wrong in findings.problems])


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
