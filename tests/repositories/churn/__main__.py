"""`python -m tests.repositories.churn`: clients update all the time while packages are published.

First against pkgd: 20 apts and 10 dnfs by the served files, a zypper, and two dnfs by a plain `baseurl`, which no
server can serve without races (repomd.xml and its signature are two requests) and which are counted as a control. Then
the same against aptly and createrepo_c behind nginx, for as long. A client fails a turn if it complains, or if a
package is not there that had been answered for before the turn began. Figures side by side are printed at the end;
the suite fails if a client of pkgd's has failed a turn.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from tests.live.tools import PACKAGES, install
from tests.repositories.aptclient import Apt
from tests.repositories.bench import Bench
from tests.repositories.churn.clients import Loop, apt_turn, dnf_turn, zypper_turn
from tests.repositories.churn.publishing import Publishing
from tests.repositories.churn.rivals import Aptly, Createrepo, Gnupg
from tests.repositories.churn.tally import KINDS, Tally, table
from tests.repositories.live import apt_is_whole, dnf_is_whole
from tests.repositories.nginx import serving_files
from tests.repositories.rpmclients import Dnf
from tests.repositories.server import PackageServer, free_environment, setup

_PORT = 24300
_PROGRAMS = {
    "apt-get": "apt",
    "dnf": "dnf",
    "zypper": "zypper",
    "rpmbuild": "rpm",
    "gpg": "gnupg",
    "aptly": "aptly",
    "createrepo_c": "createrepo-c",
}
_PLAIN = "dnf, plain baseurl (control)"
_DEB_PATH, _RPM_PATH = "/apt/full/stable/main/", "/rpm/main/"


def main() -> int:
    """Run the churn and return the exit status."""
    options = _options()
    PACKAGES.update({program: (package,) for program, package in _PROGRAMS.items()})
    install([*_PROGRAMS, "nginx"])
    free_environment()
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-churn-"))
    try:
        return Churn(scratch, options).run()
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.repositories.churn", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--publishes", type=int, default=100, help="of each kind, deb and rpm, side by side")
    parser.add_argument("--apts", type=int, default=20)
    parser.add_argument("--dnfs", type=int, default=10)
    parser.add_argument("--pace", type=float, default=0.5, help="the least seconds from one publish to the next")
    parser.add_argument("--no-control", action="store_true", help="pkgd alone")
    parser.add_argument("--port", type=int, default=_PORT, help="the first of three ports that are free")
    return parser.parse_args()


class Churn:
    """Both runs."""

    def __init__(self, scratch: Path, options: argparse.Namespace) -> None:
        self._scratch = scratch
        self._options = options
        self._tallies: list[Tally] = []
        self._lines: list[str] = []
        self._passed = self._failed = 0

    def run(self) -> int:
        """Run all, print the figures and the counts, and return the exit status."""
        server = PackageServer(setup("pkgd-churn", self._options.port), self._scratch / "pkgd")
        bench = Bench(server, self._scratch / "bench")
        count = self._options.publishes + 1
        debs = bench.workshop.debs("churn", count)
        rpms = sorted(bench.workshop.rpms("churn", count), key=lambda one: int(re.findall(r"\d+", one.name)[0]))
        try:
            server.start()
            seconds = self._pkgd(bench, debs, rpms)
        finally:
            server.remove()
        if not self._options.no_control:
            self._rivals(bench, debs, rpms, seconds)
        print(*self._lines, "", *table(self._tallies), sep="\n")
        for tally in self._tallies:
            for kind, example in tally.examples.items():
                print(f"\n{tally.name}, {kind}, the first of {tally.counts[kind]}:\n  " + example.replace("\n", "\n  "))
        print(f"{self._passed} passed, {self._failed} failed")
        return 1 if self._failed or not self._passed else 0

    def _pkgd(self, bench: Bench, debs: list[Path], rpms: list[Path]) -> float:
        """Returns how long it took."""
        into_apt, into_rpm = _into(bench, _DEB_PATH), _into(bench, _RPM_PATH)
        into_apt(debs[0])
        into_rpm(rpms[0])
        by_deb, by_rpm = self._publishing(into_apt, debs), self._publishing(into_rpm, rpms)
        apts, dnfs = Tally("pkgd: apt", self._options.apts), Tally("pkgd: dnf", self._options.dnfs)
        zyppers, plain = Tally("pkgd: zypper", 1), Tally(f"pkgd: {_PLAIN}", 2)
        zypper = bench.zypper()
        zypper("addrepo", f"{bench.web.url}{_RPM_PATH}pkgd.repo")
        by_baseurl = (
            f"[it]\nname=it\nbaseurl={bench.web.url}{_RPM_PATH}\nrepo_gpgcheck=1\ngpgkey={bench.web.url}{_RPM_PATH}key.asc\n"
        ).encode()
        over = threading.Event()
        loops = [Loop(apt_turn(bench.apt("full"), by_deb.acknowledged), apts, over) for _ in range(apts.loops)]
        loops += [Loop(dnf_turn(bench.dnf("main"), by_rpm.acknowledged), dnfs, over) for _ in range(dnfs.loops)]
        loops += [
            Loop(dnf_turn(Dnf(bench.folder("plain"), by_baseurl), by_rpm.acknowledged), plain, over) for _ in "12"
        ]
        loops.append(Loop(zypper_turn(zypper, by_rpm.acknowledged), zyppers, over))
        state = bench.server.folder / "state"
        before = _published(state)
        seconds = self._turn(loops, over, (by_deb, by_rpm), None)
        self._tallies += [apts, dnfs, zyppers, plain]
        self._note("pkgd", by_deb, by_rpm, seconds)
        for name, one in (("apt/full", by_deb), ("rpm/main", by_rpm)):
            grown = (_published(state)[name] - before[name]) / max(1, len(one.seconds))
            self._lines.append(f"pkgd: {name} grew by {grown / 1024:.0f} KiB with each publish, its pool not counted")
        for tally in (apts, dnfs, zyppers):
            complaints = {kind: tally.counts[kind] for kind in KINDS if tally.counts[kind]}
            self._judge(
                not complaints and tally.turns >= tally.loops,
                f"{tally.name}: {tally.turns} turns, {complaints or 'no complaint'}",
            )
        for one in (by_deb, by_rpm):
            self._judge(not one.failures, f"pkgd: {len(one.seconds)} published, {one.failures[:2] or 'none refused'}")
        self._try(
            "apt sees all, and each file has its hash",
            lambda: apt_is_whole(bench.apt("full"), bench.web, "full", "stable", debs),
        )
        self._try(
            "dnf sees all, and each file is there", lambda: dnf_is_whole(bench.dnf("main"), bench.web, "main", rpms)
        )
        self._try("pkgd stops, its log without traceback", bench.server.stop)
        return seconds

    def _rivals(self, bench: Bench, debs: list[Path], rpms: list[Path], seconds: float) -> None:
        gnupg = Gnupg(self._scratch / "gnupg")
        port = self._options.port
        with ExitStack() as stack:
            stack.callback(gnupg.close)
            aptly = Aptly(self._scratch / "aptly", gnupg, debs[0])
            createrepo = Createrepo(self._scratch / "createrepo", gnupg, rpms[0])
            for_apt = stack.enter_context(serving_files(self._scratch / "nginx-apt", port + 1, aptly.public))
            for_dnf = stack.enter_context(serving_files(self._scratch / "nginx-dnf", port + 2, createrepo.public))
            by_deb, by_rpm = self._publishing(aptly.publish, debs), self._publishing(createrepo.publish, rpms)
            apts = Tally("aptly behind nginx: apt", self._options.apts)
            dnfs = Tally("createrepo_c behind nginx: dnf", self._options.dnfs)
            over = threading.Event()
            loops = []
            for _ in range(apts.loops):
                apt = Apt(bench.folder("apt"))
                apt.add_source(aptly.source(for_apt.url))
                loops.append(Loop(apt_turn(apt, by_deb.acknowledged), apts, over))
            for _ in range(dnfs.loops):
                dnf = Dnf(bench.folder("dnf"), createrepo.source(for_dnf.url))
                loops.append(Loop(dnf_turn(dnf, by_rpm.acknowledged), dnfs, over))
            took = self._turn(loops, over, (by_deb, by_rpm), seconds)
        self._tallies += [apts, dnfs]
        self._note("aptly, createrepo_c", by_deb, by_rpm, took)

    def _publishing(self, publish: Callable[[Path], None], files: list[Path]) -> Publishing:
        return Publishing(publish, files, self._options.pace)

    def _turn(
        self, loops: list[Loop], over: threading.Event, publishing: tuple[Publishing, ...], patience: float | None
    ) -> float:
        """Publish while clients take turns; returns how long it took."""
        began = time.monotonic()
        for loop in loops:
            loop.start()
        for one in publishing:
            one.start()
        for one in publishing:
            one.wait(None if patience is None else max(0.0, began + patience - time.monotonic()))
        seconds = time.monotonic() - began
        over.set()
        for loop in loops:
            loop.join()
        return seconds

    def _note(self, name: str, by_deb: Publishing, by_rpm: Publishing, seconds: float) -> None:
        self._lines.append(f"{name}: debs: {by_deb.report()}; rpms: {by_rpm.report()}; {seconds:.0f} s in all")

    def _try(self, what: str, trial: Callable[[], None]) -> None:
        try:
            trial()
        except Exception as error:  # whatever it is, it is this check's failure
            self._judge(False, f"{what}: {error}"[:1500])
        else:
            self._judge(True, what)

    def _judge(self, good: bool, what: str) -> None:
        print(f"{'ok' if good else 'FAIL':4} {what}", flush=True)
        self._passed += good
        self._failed += not good


def _into(bench: Bench, path: str) -> Callable[[Path], None]:
    def publish(file: Path) -> None:
        bench.web.put(f"{path}{file.name}", file).must_be(201)

    return publish


def _published(state: Path) -> dict[str, int]:
    """What the repositories' indices take on the disk, in bytes."""
    found = {}
    for name in ("apt/full", "rpm/main"):
        files = [one for one in (state / name).rglob("*") if one.is_file()]
        found[name] = sum(one.stat().st_blocks * 512 for one in files if not {"pool", "Packages"} & set(one.parts))
    return found


if __name__ == "__main__":
    sys.exit(main())
