"""`python -m tests.hostile.packages`: thousands of hostile packages uploaded to a running pkgd.

Each must be refused: 4xx, with a reason in a line of text, and without a traceback in the log. What is still a
package may be taken, if real tools take it as well, and if it is in the index then, as it is. At the end the
indices must be what they were before, byte for byte, in repositories that were only refused to, and hold exactly what
was taken in the others. Peak memory, and what the reactor's turns cost, are measured by pkgd's own process
(tests.hostile.packages.meter); a probe of `/health` bounds how long it stood still, for whatever reason.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

from tests.crash.server import ROOT, NotReady, Pkgd
from tests.hostile.__main__ import peak_memory
from tests.hostile.packages.aftermath import Aftermath
from tests.hostile.packages.debs import debs
from tests.hostile.packages.judge import Verdicts
from tests.hostile.packages.rpms import rpms
from tests.hostile.packages.texts import PART, PART_NAME, texts
from tests.hostile.packages.upload import SOURCE, Upload
from tests.hostile.pulse import Pulse
from tests.live.tools import PACKAGES, install, run
from tests.repositories.packages import Workshop
from tests.repositories.server import free_environment
from tests.repositories.web import Web

_PORT = 23200
_SEED = 4
_LEAST_REFUSED = 5000
_LONGEST_TURN = 0.05
# Two parsers at a time, with windows of 128 MiB at most, and one document of 64 MiB, packed and not.
_LARGEST_MEMORY = 512 << 20
_FAULTS_SHOWN = 12
_PROGRAMS = {"dpkg-deb": "dpkg", "apt-get": "apt", "rpmbuild": "rpm", "rpm": "rpm", "dnf": "dnf"}


class MeteredPkgd(Pkgd):
    """pkgd with a meter on its reactor, two repositories of each kind, and no fsync, which would only take time."""

    fsync = False

    @property
    def report(self) -> Path:
        """Where the meter writes, when pkgd has ended."""
        return self._logs / "meter.json"

    def command(self) -> list[str]:
        """`pkgd serve` under the meter."""
        configuration = self._write_configuration(self.configuration())
        meter = [sys.executable, "-m", "tests.hostile.packages.meter", str(self.report)]
        return [*meter, "serve", "-c", str(configuration)]

    def environment(self) -> dict[str, str]:
        """From this checkout."""
        return {"PYTHONPATH": str(ROOT)}

    def configuration(self) -> dict[str, object]:
        """As pkgd's, with the repositories."""
        named = [{"name": "main"}, {"name": "tampered"}]
        return {**super().configuration(), "repositories": {"apt": named, "rpm": named}}


def main() -> int:
    """Run all; returns the exit status."""
    options = _options()
    if os.geteuid() != 0:
        print("apt and dnf, which judge in the end, must run as root\n0 passed, 1 failed")
        return 1
    PACKAGES.update({program: (package,) for program, package in _PROGRAMS.items()})
    install(list(_PROGRAMS))
    free_environment()
    folder = Path(tempfile.mkdtemp(prefix="pkgd-hostile-packages-"))
    server = MeteredPkgd(options.port, folder / "state", folder / "logs")
    try:
        server.start(60)
        failed = Run(server, folder, options).run()
    except NotReady as error:
        print(f"{error}\n0 passed, 1 failed")
        failed = 1
    finally:
        if server.is_running():
            server.stop()
    if failed:
        print(f"logs are in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.hostile.packages", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--port", type=int, default=_PORT)
    parser.add_argument("--sample", type=float, default=1.0, help="which part of the corpus is sent")
    parser.add_argument("--seed", type=int, default=_SEED, help="of mutants and of the sample")
    parser.add_argument("--only", default="", help="run only the categories that begin so")
    parser.add_argument("--at-once", type=int, default=8, help="uploads at the same time")
    return parser.parse_args()


class Run:
    """One run against one server."""

    def __init__(self, server: MeteredPkgd, folder: Path, options: argparse.Namespace) -> None:
        self._server = server
        self._folder = folder
        self._options = options
        self._web = Web("127.0.0.1", server.port)
        self._verdicts = Verdicts()
        self._passed = self._failed = 0

    def run(self) -> int:
        """Returns how much failed."""
        began = time.monotonic()
        aftermath = Aftermath(self._web, self._folder / "aftermath")
        self._web.call("PUT", f"{SOURCE}{PART_NAME}", PART).must_be(201)
        pulse = Pulse(self._server.port, self._server.health_path, self._server.pid)
        try:
            sent = self._send_all()
        finally:
            asked, delays = pulse.stop()
        memory = peak_memory(self._server.pid)
        print(f"{sent} uploads in {time.monotonic() - began:.0f} s", *self._verdicts.lines(), sep="\n")
        for seconds, name in self._verdicts.longest:
            print(f"  {seconds:.2f} s for {name}")
        refused = self._verdicts.refused.total()
        whole = self._options.sample == 1.0 and not self._options.only
        self._judge(refused >= (_LEAST_REFUSED if whole else 1), f"{refused} refused, each with a reason")
        self._judge(not self._verdicts.faults, f"{len(self._verdicts.faults)} answers that are none")
        for fault in self._verdicts.faults[:_FAULTS_SHOWN]:
            print(f"     {fault[:300]}")
        for name, trial in aftermath.trials(self._verdicts.taken):
            self._try(name, trial)
        self._judge(memory <= _LARGEST_MEMORY, f"peak memory of the server {memory / 2**20:.0f} MiB")
        notices = self._server.new_crash_notices()
        self._judge(not notices, f"{len(notices)} tracebacks in the log {''.join(notices[:1])}")
        self._judge(self._server.stop() == self._server.stop_status, "graceful stop afterwards")
        self._report_turns()
        worst = max((delay.stall for delay in delays), default=0.0)
        print(f"  /health: worst standstill {worst * 1000:.0f} ms of {asked} answers, without waits for a processor")
        print(f"{self._passed} passed, {self._failed} failed")
        return self._failed

    def _corpus(self) -> Iterable[Upload]:
        chance, sample = Random(self._options.seed), Random(self._options.seed)
        workshop = Workshop(self._folder / "packages")
        real_rpms = [one.read_bytes() for one in workshop.toolbox("1.0").values()]
        for kind in (debs(chance, _real_debs(workshop)), rpms(chance, real_rpms), texts(chance)):
            for upload in kind:
                if upload.category.startswith(self._options.only) and sample.random() < self._options.sample:
                    yield upload

    def _send_all(self) -> int:
        """Send the corpus by several threads, each taking the next; returns how many there were."""
        waiting, lock = iter(self._corpus()), threading.Lock()

        def work() -> int:
            sent = 0
            while True:
                with lock:
                    upload = next(waiting, None)
                if upload is None:
                    return sent
                self._send(upload)
                sent += 1

        with ThreadPoolExecutor(self._options.at_once) as pool:
            return sum(one.result() for one in [pool.submit(work) for _ in range(self._options.at_once)])

    def _send(self, upload: Upload) -> None:
        began = time.monotonic()
        try:
            answer = self._web.call(upload.method, upload.path, upload.body)
        except Exception as error:  # no answer at all, which is this upload's fault
            self._verdicts.fail(upload, error)
        else:
            self._verdicts.note(upload, answer, time.monotonic() - began)
            if upload.path.endswith(".dsc") and answer.status == 201:
                self._web.call("PUT", f"{SOURCE}{PART_NAME}", PART)

    def _report_turns(self) -> None:
        report = json.loads(self._server.report.read_text())
        cpu = report["cpu"]
        text = "the reactor's turns: {what} p99 {p99:.1f} ms, p99.9 {p999:.1f} ms, worst {worst:.1f} ms"
        figures = {name: value * 1000 for name, value in cpu.items()}
        self._judge(cpu["worst"] <= _LONGEST_TURN, text.format(what="CPU", **figures) + f" of {report['turns']}")
        late = {name: value * 1000 for name, value in report["late"].items()}
        print("  " + text.format(what="by the clock", **{key: value * 1000 for key, value in report["clock"].items()}))
        print(
            "  a heartbeat's delay by pkgd itself: p99 {p99:.1f} ms, p99.9 {p999:.1f} ms, worst {worst:.1f} ms".format(
                **late
            )
        )

    def _try(self, name: str, trial: object) -> None:
        try:
            assert callable(trial)
            trial()
        except Exception as error:  # whatever it is, it is this trial's failure
            self._judge(False, f"{name}: {type(error).__name__}: {error}"[:1500])
        else:
            self._judge(True, name)

    def _judge(self, good: bool, what: str) -> None:
        print(f"{'ok' if good else 'FAILED'}: {what}", flush=True)
        self._passed += good
        self._failed += not good


def _real_debs(workshop: Workshop) -> list[bytes]:
    """One package by dpkg-deb in each compression, gzip first."""
    plain = workshop.deb("tampered", text="with")
    run("dpkg-deb", "-R", str(plain), str(workshop.folder / "raw"))
    found = [plain.read_bytes()]
    for form in ("none", "xz", "zstd"):
        file = workshop.folder / f"{form}.deb"
        run("dpkg-deb", "--root-owner-group", f"-Z{form}", "-b", str(workshop.folder / "raw"), str(file))
        found.append(file.read_bytes())
    return found


if __name__ == "__main__":
    sys.exit(main())
