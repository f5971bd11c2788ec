"""The order of versions, and what is a package at all, compared with rpm's own library."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from pkgd.errors import InvalidPackage
from pkgd.formats.repodata import fragments
from pkgd.formats.rpm import read_rpm
from pkgd.formats.rpmversion import compare
from tests.formats.rpms import reader, rpm
from tests.oracles.rpm_corpus import written
from tests.oracles.rpm_made import made_package
from tests.oracles.rpm_metadata import HREF, ours_of
from tests.oracles.tally import Tally

__all__ = ["compare_mutants", "compare_versions"]

_JUDGE = Path(__file__).parent / "rpm_judge.py"
_SYSTEM_PYTHON = "/usr/bin/python3"
# CPU seconds.
_LONGEST_ANSWER = 2.0


def judge(task: str, lines: Sequence[str]) -> list[str]:
    command = [_SYSTEM_PYTHON, "-I", str(_JUDGE), task]
    done = subprocess.run(command, input="\n".join(lines) + "\n", capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def _versions(paths: Sequence[Path]) -> Iterator[str]:
    for path in paths:
        try:
            package, _ = ours_of(path)
        except InvalidPackage:
            continue
        yield from (package.version, package.release)
        for entries in package.dependencies.values():
            for entry in entries:
                yield from (entry.version, entry.release)


def compare_versions(tally: Tally, paths: Sequence[Path], wanted: int) -> None:
    """All pairs of versions of packages and their dependencies, of parts of them, and of made ones."""
    chance = Random(1)
    found = {version for version in _versions(paths) if version and version.isascii() and version.isprintable()}
    pieces = sorted({version[: len(version) // 2] for version in found} | {"1", "01", "a", "rc1", "10", "~", "^", "."})
    versions = set(chance.sample(sorted(found), min(len(found), wanted // 3)))
    while len(versions) < wanted:
        versions.add(
            "".join(
                chance.choice([*pieces[:: 1 + len(pieces) // 40], "~", "^", ".", "-", "_", "0", "9", "b"])
                for _ in range(chance.randint(1, 4))
            )
        )
    ordered = sorted(versions - {""})
    signs = {-1: "<", 0: "=", 1: ">"}
    for one, row in zip(ordered, judge("compare", ordered), strict=True):
        ours = "".join([signs[compare(one, other)] for other in ordered])
        wrong = [other for other, a, b in zip(ordered, ours, row, strict=True) if a != b]
        tally.add_many("pairs of versions", len(ordered) - len(wrong), len(wrong))
        for other in wrong[:1]:
            tally.add("versions", f"{one!r} and {other!r}")


def compare_mutants(tally: Tally, scratch: Path, paths: Sequence[Path], count: int) -> None:
    """Change headers at random and see that we accept nothing that rpm refuses."""
    chance = Random(2)
    originals = [*(path.read_bytes() for path in paths), *(made_package(seed) for seed in range(40)), rpm()]
    originals = [data for data in originals if len(data) < 1 << 20]
    accepted: list[tuple[Path, str]] = []
    for number in range(count):
        mutant = _mutate(chance, chance.choice(originals))
        begin = time.process_time()
        try:
            package = read_rpm(reader(mutant), len(mutant))
            fragments(package, "0" * 64, HREF, len(mutant), 0)
            path = written(scratch / f"mutant-{number}.rpm", mutant)
            accepted.append((path, f"{package.name}-{package.version}-{package.release}"))
        except InvalidPackage:
            tally.add("mutants refused", None)
        except Exception as error:
            tally.add("mutants refused", f"{type(error).__name__}: {error} (mutant {number})")
        duration = time.process_time() - begin
        if duration > _LONGEST_ANSWER:
            tally.add("mutants in time", f"mutant {number} took {duration:.1f} s")
    for (path, ours), theirs in zip(accepted, judge("read", [str(path) for path, _ in accepted]), strict=True):
        tally.add("mutants accepted", None if ours == theirs else f"{path.name}: ours {ours}, rpm's {theirs}")


def _mutate(chance: Random, data: bytes) -> bytes:
    """Change a few bytes of the headers, mostly of their indexes; or cut the file."""
    changed = bytearray(data)
    entries, size = int.from_bytes(data[104:108], "big"), int.from_bytes(data[108:112], "big")
    start = 112 + 16 * entries + size
    start += -start % 8
    entries_2, size_2 = (
        int.from_bytes(data[start + 8 : start + 12], "big"),
        int.from_bytes(data[start + 12 : start + 16], "big"),
    )
    index_end, end = start + 16 + 16 * entries_2, start + 16 + 16 * entries_2 + size_2
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        low, high = chance.choice([(96, 112 + 16 * entries), (start, index_end), (start, index_end), (index_end, end)])
        at = chance.randrange(low, max(high, low + 1))
        if at < len(changed):
            changed[at] = chance.choice([0, 1, 0xFF, changed[at] ^ 1 << chance.randrange(8), chance.randrange(256)])
    if chance.random() < 0.03:
        del changed[chance.randrange(len(changed)) :]
    return bytes(changed)
