"""What the user of `pkgd rebuild` sees: lines, or one JSON document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

from pkgd.packages.rebuilding import Outcome
from pkgd.packages.recovery import Recovered, summary
from pkgd.terminal import listing

__all__ = ["as_json", "lines"]


def lines(recovered: Recovered) -> Iterator[str]:
    """What became of a repository, for people."""
    for one in recovered.outcomes:
        yield from _outcome(f"{recovered.name}/{one.suite}" if one.suite else recovered.name, one)
    yield from listing(f"{recovered.name}: files that nothing names", recovered.orphans)
    yield from listing(f"{recovered.name}: removed, for nothing names them", recovered.discarded)


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
    yield from listing(f"{name}: damaged or missing records", one.damaged_records)
    yield from listing(f"{name}: MISSING files of packages", one.missing)
    yield from listing(f"{name}: DAMAGED files of packages, set aside", [f"{path}: {why}" for path, why in one.damaged])
    yield from listing(f"{name}: LEFT OUT", [f"{path}: {why}" for path, why in one.left_out])
