"""`python -m tests.repositories.growth`: what a publish adds to the state of a repository that is large already.

No client and no daemon: the repositories themselves, on a real directory without fsync. One is filled with made-up
packages, about as long as Debian's, in one publish; then real packages are added one by one, spread over all of
them. Every generation is kept, as it is for its first 24 hours, so this is what a day of publishes costs.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

from attrs import evolve

from pkgd.formats.repodata import fragments
from pkgd.formats.rpm import read_rpm
from pkgd.packages.apt import AptRepository
from pkgd.packages.aptsuite import AptSuite
from pkgd.packages.drafts import Draft
from pkgd.packages.keyring import KeyRing
from pkgd.packages.layout import apt_directory, rpm_directory, rpm_path, suite_directory
from pkgd.packages.pathlists import PathLists
from pkgd.packages.publishing import Composer, Publisher
from pkgd.packages.records import AptSettings, RpmSettings
from pkgd.packages.rpm import RpmRepository
from pkgd.packages.rpmindices import PACKAGES
from pkgd.packages.rpmmetadata import RpmMetadata
from pkgd.packages.rpmuploads import package_key
from pkgd.packages.shelf import Shelf
from pkgd.packages.signing import NativeSigner
from tests.formats.rpms import dependencies, files, reader, rpm, string
from tests.packages.fixtures import NOW, Ground, made_deb, result

_MOST = 512 * 1024
_STANZA = """\
Package: {name}
Version: 1.0-{number}
Architecture: {architecture}
Maintainer: Bulk maintainers <bulk@example.org>
Installed-Size: {size}
Depends: libc6 (>= 2.34), libdep{small} (>= 1.{small}), libother{number} | libthird
Filename: pool/main/b/{name}/{digest:.12}/{name}_1.0-{number}_{architecture}.deb
Size: {size}
MD5sum: {digest:.32}
SHA1: {digest:.40}
SHA256: {digest}
SHA512: {other}
Section: utils
Priority: optional
Homepage: https://example.org/{name}
Description: package number {number} of many
 It is as long as others are, and says something about what it is
 good for, which is nothing but to be there, with its {small} friends.

"""


def main() -> int:
    """Measure, print, and return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.repositories.growth", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--packages", type=int, default=60_000, help="with how many each repository is filled")
    parser.add_argument("--publishes", type=int, default=60, help="how many are then measured")
    options = parser.parse_args()
    failed = 0
    trials = {"apt, gz and zst, amd64": _apt("amd64"), "apt, gz and zst, all": _apt("all"), "rpm, gz": _rpm}
    for name, trial in trials.items():
        scratch = Path(tempfile.mkdtemp(prefix="pkgd-growth-"))
        try:
            failed += not _measure(name, trial(scratch, options.packages), scratch, options.publishes)
        finally:
            shutil.rmtree(scratch)
    print(f"{len(trials) - failed} passed, {failed} failed")
    return 1 if failed else 0


Add = Callable[[int], Any]


def _measure(name: str, add: Add, scratch: Path, publishes: int) -> bool:
    before, began = _taken(scratch), time.process_time()
    for number in range(publishes):
        add(number)
    cpu, after = time.process_time() - began, _taken(scratch)
    grown = {what: (after[what] - before[what]) / publishes for what in after}
    total = sum(grown.values())
    print(
        f"{'ok' if total <= _MOST else 'FAILED'}: {name}: {total / 1024:.0f} KiB a publish ({publishes} of them), "
        f"{grown['pool'] / 1024:.0f} of them the package's own file; {cpu / publishes * 1000:.0f} ms CPU a publish",
        flush=True,
    )
    return total <= _MOST


def _taken(scratch: Path) -> dict[str, int]:
    """What is allocated on the disk, in bytes, for packages and for all else."""
    found = {"pool": 0, "published": 0}
    for folder, _, names in os.walk(scratch / "state"):
        what = "pool" if {"pool", "Packages"} & set(Path(folder).parts) else "published"
        found[what] += sum(os.stat(os.path.join(folder, name)).st_blocks * 512 for name in names)
    return found


def _ground(scratch: Path) -> tuple[Ground, NativeSigner]:
    ground = Ground(str(scratch / "state"), in_memory=False)
    keys = KeyRing(str(scratch / "keys"), None).ensure("tests", NOW, "ed25519")
    return ground, NativeSigner.of(ground.blocking, keys, ground.clock.seconds)


def _fill(ground: Ground, base: str, composer: Composer, window: Any, change: Callable[[Draft], Any]) -> None:
    publisher = Publisher(
        Shelf(base, ground.store, ground.blocking), composer, ground.clock, window, ground.spool.reserve
    )
    result(publisher.load())
    result(publisher.submit(change))


def _numbers(count: int) -> Iterator[tuple[int, str, str]]:
    """Number, and two digests that nothing can compress."""
    chance = Random(4)
    for number in range(count):
        yield number, chance.randbytes(32).hex(), chance.randbytes(64).hex()


def _apt(architecture: str) -> Callable[[Path, int], Add]:
    """A suite; two packages of five are for all architectures."""

    def prepare(scratch: Path, count: int) -> Add:
        ground, signer = _ground(scratch)
        settings = AptSettings(name="main")
        lists = PathLists(apt_directory("main"), ground.store, ground.blocking)
        suite = AptSuite(settings, settings.suites[0], signer, lists)

        async def change(draft: Draft) -> None:
            for number, digest, other in _numbers(count):
                values = {"name": f"bulk{number:06}", "architecture": "all" if number % 5 < 2 else "amd64"}
                text = _STANZA.format(
                    **values, number=number, size=number * 7, small=number % 40, digest=digest, other=other
                )
                key = (values["name"], f"1.0-{number}", values["architecture"])
                await suite.put(draft, suite.slot("main", values["architecture"]), key, text.encode())

        _fill(ground, suite_directory("main", "stable"), suite, settings.window, change)
        repository = AptRepository(settings, ground.store, ground.spool, ground.blocking, signer, ground.clock)
        result(repository.start())

        def add(number: int) -> None:
            data = made_deb(f"bulk{_spread(number, count):06}x", "1.0", architecture)
            result(repository.add("stable", "main", ground.arrival("x.deb", data)))
            ground.clock.advance(1)

        return add

    return prepare


def _rpm(scratch: Path, count: int) -> Add:
    ground, signer = _ground(scratch)
    settings = RpmSettings(name="main")

    def made(name: str) -> bytes:
        paths = [f"/usr/share/{name}/file{number}" for number in range(10)] + [f"/usr/bin/{name}"]
        needs = dependencies((1049, 1048, 1050), *((f"libdep{number}", 12, f"1.{number}") for number in range(8)))
        return rpm({1000: string(name), **files(*paths), **needs})

    data = made("bulk")
    package = read_rpm(reader(data), len(data))

    async def change(draft: Draft) -> None:
        for number, digest, _ in _numbers(count):
            one = evolve(package, name=f"bulk{number:06}", version=f"1.{number}")
            text = fragments(one, digest, rpm_path(digest, one.file_name), number * 7, NOW)
            paths = [
                part.replace(b"/bulk", b"/%b-%b" % (one.name.encode(), digest[:8].encode()))
                for part in (text.primary, text.filelists)
            ]
            draft.put(PACKAGES, package_key(one), (*paths, text.other))

    _fill(ground, rpm_directory("main"), RpmMetadata(settings, signer), settings.window, change)
    repository = RpmRepository(settings, ground.store, ground.spool, ground.blocking, signer, ground.clock)
    result(repository.start())

    def add(number: int) -> None:
        arrival = ground.arrival("x.rpm", made(f"bulk{_spread(number, count):06}x"))
        result(repository.add(arrival))
        ground.clock.advance(1)

    return add


def _spread(number: int, count: int) -> int:
    """Somewhere among the packages, never the same for two small numbers."""
    return int.from_bytes(hashlib.sha256(b"%d" % number).digest()[:8], "big") % count


if __name__ == "__main__":
    sys.exit(main())
