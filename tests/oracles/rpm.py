"""rpm packages: `python -m tests.oracles rpm [--sample N] [--also DIRECTORY]`.

- **metadata**: every real package in the sources of rpm, dnf, libdnf and librepo, one that rpmbuild makes of
  `edge.spec`, and made ones as odd as the format allows: primary, filelists and other string for string as the
  createrepo_c library writes them; what it leaves out is refused.
- **digests**: our word on every real package's digests is that of rpmkeys.
- **signing**: real packages with a signature put in are taken by rpmkeys.
- **documents**: whole documents and repomd.xml as createrepo_c writes them.
- **versions**: all pairs of thousands of versions in the order that rpm has.
- **mutants**: packages with changed headers: none that rpm refuses is accepted, nothing but InvalidPackage is raised,
  and no answer takes long.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random

from tests.oracles.rpm_corpus import build_edge, corpus, written
from tests.oracles.rpm_library import compare_mutants, compare_versions
from tests.oracles.rpm_made import made_package
from tests.oracles.rpm_metadata import compare_documents, compare_metadata
from tests.oracles.rpm_signing import compare_digests, compare_signing
from tests.oracles.suite import run_suite
from tests.oracles.tally import Tally

_NEEDED = {
    "rpmbuild": "rpm",
    "/usr/lib/python3/dist-packages/rpm/__init__.py": "python3-rpm",
    "gpg": "gnupg",
}


def main(arguments: Sequence[str]) -> int:
    """Run the suite and return its exit status."""
    return run_suite(_NEEDED, partial(_run, _options(arguments)))


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.oracles rpm", description=__doc__)
    parser.add_argument("--sample", type=int, help="how many real packages to take, and of the rest in proportion")
    parser.add_argument("--also", type=Path, action="append", default=[], help="a directory with more real packages")
    return parser.parse_args(arguments)


def _run(options: argparse.Namespace, tally: Tally, scratch: Path) -> None:
    real = [*corpus(), *(path for place in options.also for path in sorted(place.iterdir()))]
    share = min(1.0, (options.sample or len(real)) / len(real))
    chosen = sorted(Random(0).sample(real, round(share * len(real))))
    edge = build_edge(scratch)
    made = [written(scratch / f"made-{seed}.rpm", made_package(seed)) for seed in range(round(5000 * share))]
    for what, paths in (("real metadata", [*chosen, edge]), ("made metadata", made)):
        for path in paths:
            tally.add(what, compare_metadata(path))
    for path in chosen:
        tally.add("digests", compare_digests(path))
    for key in ("rsa3072", "ed25519"):
        compare_signing(tally, scratch / key, [edge, *chosen[:: 4 if share == 1 else 8]], key)
    compare_documents(tally, scratch, [edge, *chosen[:20]])
    compare_versions(tally, [*real, *made[:500]], round(3000 * max(share, 0.2)))
    compare_mutants(tally, scratch, [edge, *chosen[:60]], round(20000 * share))
