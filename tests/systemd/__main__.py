"""The unit and the packages, judged by systemd's own tools and run by a real systemd: a line each, and the counts."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from tests.live.tools import PACKAGES, install, run
from tests.systemd.cases import Days
from tests.systemd.machine import Machine

ROOT = Path(__file__).resolve().parents[2]
_PROGRAMS = {
    "podman": "podman",
    "runc": "runc",
    "mmdebstrap": "mmdebstrap",
    "rpmbuild": "rpm",
    "dpkg-deb": "dpkg",
    "systemd-analyze": "systemd",
}
# 1.5 on systemd's scale of 0 to 10.
_EXPOSURE = 15
_LATER = "99.0"


class Suite:
    """Runs cases and counts them."""

    def __init__(self, scratch: Path, onedir: Path) -> None:
        self._scratch = scratch
        self._onedir = onedir
        self.passed = 0
        self.failed = 0

    def run(self) -> None:
        """All of it."""
        units = ROOT / "packaging/systemd"
        self._try("systemd-analyze security: exposure at most 1.5", lambda: _exposure(units / "pkgd.service"))
        self._try("systemd-analyze verify: nothing to complain about", lambda: self._verify(units))
        first, later = self._scratch / "first", self._scratch / "later"
        self._try("the packages are built", lambda: self._build(first))
        self._try("built again, they have the same bytes", lambda: self._same(first))
        self._try("packages of a later version", lambda: self._build(later, "--version", _LATER))
        if self.failed:
            return
        machine = Machine(self._scratch, f"pkgd-systemd-{self._scratch.name}")
        try:
            if self._try("a machine with systemd", machine.start):
                for case in Days(machine, *(next(one.glob("*.deb")) for one in (first, later))).cases():
                    if not self._try(case.name, case.trial):
                        print(textwrap.indent("\n".join(machine.journal().splitlines()[-25:]), "     | "))
        finally:
            machine.remove()

    def _build(self, output: Path, *arguments: str) -> None:
        words = ("--onedir", str(self._onedir), "--output", str(output), "--quick", *arguments)
        run(sys.executable, str(ROOT / "packaging/packages/build.py"), *words)

    def _same(self, first: Path) -> None:
        self._build(again := self._scratch / "again")
        for one in sorted(first.iterdir()):
            if one.read_bytes() != (again / one.name).read_bytes():
                raise ValueError(f"{one.name} differs")

    def _verify(self, units: Path) -> None:
        """With a program and a manual page that are there."""
        folder = self._scratch / "units"
        folder.mkdir()
        for one in ("pkgd.service", "pkgd.socket"):
            text = (units / one).read_text()
            text = text.replace("/usr/bin/pkgd", "/bin/true").replace("Documentation=man:pkgd(8)\n", "")
            (folder / one).write_text(text)
        run("systemd-analyze", "verify", str(folder / "pkgd.service"), str(folder / "pkgd.socket"))

    def _try(self, name: str, trial: Callable[[], None]) -> bool:
        start = time.monotonic()
        failure: Exception | None = None
        try:
            trial()
        except Exception as error:  # whatever it is, it is this case's failure and no other's
            failure = error
        print(f"{'FAIL' if failure else 'ok':4} {name:90} {time.monotonic() - start:6.1f} s", flush=True)
        if failure is not None:
            print(textwrap.indent(f"{type(failure).__name__}: {failure}", "     | "), flush=True)
            self.failed += 1
            return False
        self.passed += 1
        return True


def _exposure(unit: Path) -> None:
    run("systemd-analyze", "security", "--offline=true", f"--threshold={_EXPOSURE}", str(unit))


def main() -> int:
    """Run the suite and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.systemd", description=__doc__)
    parser.add_argument("--onedir", type=Path, default=ROOT / "dist/pkgd-onedir", help="what is packed")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a stopped suite leaves nothing behind either
    if not (options.onedir / "pkgd").exists():
        print(f"{options.onedir}/pkgd is not there: make executable\n0 passed, 1 failed")
        return 1
    PACKAGES.update({program: (package,) for program, package in _PROGRAMS.items()})
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-systemd-"))
    suite = Suite(scratch, options.onedir)
    try:
        install(list(_PROGRAMS))
        suite.run()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{suite.passed} passed, {suite.failed} failed")
    return 1 if suite.failed or not suite.passed else 0


if __name__ == "__main__":
    sys.exit(main())
