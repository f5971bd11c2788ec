"""Debian packages: `python -m tests.oracles deb [--sample N] [--download N]`.

- **packages**: real packages, real control files put into packages by dpkg-deb in each compression and by ourselves:
  stanzas byte for byte as apt-ftparchive writes them, fields as dpkg-deb reads them.
- **archive**: the control file of everything in Debian's index, put into packages again: every field as in that
  index, Description-md5 and the place in the pool included; the real packages, hashes included.
- **contents**: lists of paths as apt-ftparchive has them.
- **sources**: everything in Debian's index of sources likewise, and .dsc files by apt-ftparchive; Release, too.
- **versions**: dpkg's order of thousands of pairs, libapt's of all pairs of thousands.
- **hostile**: bombs, forged sizes and endless lists: refused or read, in little memory and time.
- **mutants**: changed packages: what we accept, dpkg-deb accepts and reads as we do.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random

from pkgd.errors import InvalidPackage
from pkgd.formats.deb import read_deb
from pkgd.formats.debversion import compare, key
from tests.formats.debs import reader
from tests.oracles.deb_corpus import download, index
from tests.oracles.deb_hostile import LONGEST_ANSWER, MOST_MEMORY, mutant, shapes
from tests.oracles.deb_indices import Indices
from tests.oracles.suite import run_suite
from tests.oracles.tally import Tally

_ROOT = Path(__file__).parents[2]
_JUDGE = Path(__file__).parent / "deb_judge.py"
_SYSTEM_PYTHON = "/usr/bin/python3"
_NEEDED = {
    "apt-ftparchive": "apt-utils",
    "dpkg-deb": "dpkg",
    "/usr/lib/python3/dist-packages/apt/__init__.py": "python3-apt",
}
# What a complete run takes; a sample takes a share of it.
_REAL = 2000
_MADE = 4000
# Real packages are the point, so even a sample has some.
_LEAST_REAL = 40
_SHARED = ("Package", "Version", "Architecture", "Source", "Section", "Description")


def main(arguments: Sequence[str]) -> int:
    """Run the suite and return its exit status."""
    return run_suite(_NEEDED, partial(_run, _options(arguments)))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.oracles deb", description=__doc__)
    parser.add_argument(
        "--sample", type=int, default=_MADE, help="how many packages to make, of the rest in proportion"
    )
    parser.add_argument("--download", type=int, help="how many real packages to take from a mirror, besides odd ones")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace, tally: Tally, scratch: Path) -> None:
    share = min(1.0, options.sample / _MADE)
    real = download(options.download or max(_LEAST_REAL, round(_REAL * share)))
    indices = Indices(tally, scratch)
    indices.compare_packages(real, options.sample)
    indices.compare_archive(real, share)
    indices.compare_contents()
    indices.compare_sources(share)
    indices.compare_release()
    versions = sorted({fields["Version"].strip() for fields in index("Packages")})
    _compare_pairs(tally, versions, round(5000 * share))
    _compare_versions(tally, versions, round(3000 * max(share, 0.1)))
    _compare_hostile(tally, scratch)
    _compare_mutants(tally, scratch, real, round(20_000 * share))


# -- versions ----------------------------------------------------------------------------------


def _odd_version(chance: Random, versions: Sequence[str]) -> str:
    """One that is no version of Debian's, but made of them and of what sorts in surprising ways."""
    parts = [chance.choice(versions)[: chance.randint(1, 9)], "~", "+", ".", "-", "0", "00", "a", "Z", "9", "~~", "-0"]
    epoch = chance.choice(["", "", "0:", "1:", "20081126:"])
    middle = "".join(chance.choice(parts).replace(":", "") for _ in range(chance.randint(0, 4)))
    return f"{epoch}{chance.randint(0, 20)}{middle}".rstrip("-")


def _compare_pairs(tally: Tally, versions: Sequence[str], count: int) -> None:
    """Pairs, most of which are close to each other, by dpkg's own word."""
    chance = Random(5)
    ordered = sorted(versions, key=key)
    for _ in range(count):
        at = chance.randrange(len(ordered) - 1)
        a, b = chance.choice(
            [(ordered[at], ordered[at + 1]), (ordered[at], chance.choice(ordered)), (ordered[at], ordered[at])]
        )
        if chance.random() < 0.5:
            a, b = _odd_version(chance, versions), _odd_version(chance, versions)
        order = {-1: "lt", 0: "eq", 1: "gt"}[compare(a, b)]
        done = subprocess.run(["dpkg", "--compare-versions", a, order, b], capture_output=True)
        tally.add("pairs of versions by dpkg", f"{a} {order} {b}" if done.returncode else None)


def _compare_versions(tally: Tally, versions: Sequence[str], count: int) -> None:
    """All pairs of many, by libapt."""
    chance = Random(4)
    chosen = set(chance.sample(versions, count * 2 // 3))
    while len(chosen) < count:
        chosen.add(_odd_version(chance, versions))
    ordered = sorted(chosen)
    command = [_SYSTEM_PYTHON, "-I", str(_JUDGE)]
    done = subprocess.run(command, input="\n".join(ordered) + "\n", capture_output=True, text=True, check=True)
    keys = [key(version) for version in ordered]
    for one, ours, row in zip(ordered, keys, done.stdout.splitlines(), strict=True):
        found = "".join(["<" if ours < other else ">" if ours > other else "=" for other in keys])
        wrong = [other for other, a, b in zip(ordered, found, row, strict=True) if a != b]
        tally.add_many("pairs of versions by apt", len(ordered) - len(wrong), len(wrong))
        for other in wrong[:1]:
            tally.add("versions", f"{one!r} and {other!r}")


# -- hostile packages --------------------------------------------------------------------------


def _compare_hostile(tally: Tally, scratch: Path) -> None:
    """Each is read by a process of its own, which says what that cost."""
    path = scratch / "hostile.deb"
    for name, data in shapes():
        path.write_bytes(data)
        command = [sys.executable, "-m", "tests.oracles.deb_hostile", str(path)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, timeout=60)
        if done.returncode:
            tally.add("hostile", f"{name}: {done.stderr[-500:]}")
            continue
        seconds, memory, outcome = done.stdout.split(maxsplit=2)
        good = float(seconds) <= LONGEST_ANSWER and int(memory) <= MOST_MEMORY and "failed" not in outcome
        tally.add("hostile", None if good else f"{name}: {seconds} s, {memory} bytes, {outcome.strip()}")


def _compare_mutants(tally: Tally, scratch: Path, real: Sequence[Path], count: int) -> None:
    chance = Random(2)
    originals = [data for data in (path.read_bytes() for path in real) if len(data) < 100_000]
    path = scratch / "mutant.deb"
    for number in range(count):
        data = mutant(chance, chance.choice(originals))
        begin = time.process_time()
        try:
            package = read_deb(reader(data), len(data))
        except InvalidPackage:
            tally.add("mutants refused", None)
            continue
        except Exception as error:
            tally.add("mutants refused", f"mutant {number}: {type(error).__name__}: {error}")
            continue
        finally:
            if time.process_time() - begin > LONGEST_ANSWER:
                tally.add("mutants in time", f"mutant {number}")
        path.write_bytes(data)
        template = "".join(f"${{{name}}}\x1f" for name in _SHARED)
        done = subprocess.run(["dpkg-deb", "-W", f"--showformat={template}", str(path)], capture_output=True)
        theirs = done.stdout.decode("utf-8", "replace").split("\x1f")
        wrong = [
            (name, package.control.get(name), value)
            for name, value in zip(_SHARED, theirs, strict=False)
            # dpkg shows it if a value begins on the line after its name.
            if package.control.get(name) != value.lstrip("\n ")
        ]
        failure = done.stderr.decode() if done.returncode else wrong and f"ours and dpkg's: {wrong[:2]}"
        tally.add("mutants accepted", f"mutant {number}: {failure}" if failure else None)
