"""`python -m tests.bench [SCENARIO...]`: prints figures; fails only on errors and wrong bytes."""

import argparse
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from pathlib import Path

from attrs import define, field

from tests.bench import procfs, report
from tests.bench.client import Client
from tests.bench.content import Content
from tests.bench.figures import MIB, Outcome
from tests.bench.scenarios import SCENARIOS
from tests.bench.servers import KINDS, Nginx, Pkgd
from tests.bench.stage import Stage

ROUNDS, QUICK_ROUNDS = 5, 2


@define
class Results:
    """What the scenarios came to, by name."""

    outcomes: dict[str, Outcome] = field(factory=dict)
    errors: dict[str, str] = field(factory=dict)

    def run(self, name: str, stage: Stage) -> None:
        """Run one scenario and print its report, or the error that ended it."""
        began, others = time.monotonic(), _others_seconds()
        try:
            outcome = self.outcomes[name] = SCENARIOS[name](stage)
        except Exception as error:  # whatever ends one scenario must not keep the others from running
            self.errors[name] = f"{type(error).__name__}: {error}"
            traceback.print_exc()
            _say(f"\n{name}: FAILED: {self.errors[name]}")
            return
        for line in report.lines(name, outcome):
            _say(line)
        if outcome.faults:
            self.errors[name] = "; ".join(outcome.faults)
        seconds = time.monotonic() - began
        elsewhere = (_others_seconds() - others) / seconds
        _say(f"  ({seconds:.0f} s, in which all else on the machine used {elsewhere:.1f} CPUs)")


def main() -> int:
    """Run what the command line asks for."""
    arguments = _arguments()
    unknown = set(arguments.scenarios) - set(SCENARIOS)
    if unknown:
        sys.exit(f"no scenario {', '.join(sorted(unknown))}; there are {', '.join(SCENARIOS)}")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that servers are stopped and the scratch space is freed
    scratch = Path(tempfile.mkdtemp(prefix="bench-", dir=arguments.scratch))
    try:
        results = _run(_stage(arguments, scratch), arguments.scenarios or list(SCENARIOS))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return _end(arguments, results)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help=f"some of {', '.join(SCENARIOS)}; default all")
    parser.add_argument("--rounds", type=int, help=f"rounds that count ({ROUNDS}, with --quick {QUICK_ROUNDS})")
    parser.add_argument("--quick", action="store_true", help="fewer rounds, smaller blobs")
    parser.add_argument("--layer", type=int, metavar="MIB", help="the size of the mirror's large cold layer")
    parser.add_argument("--sizes", type=_sizes, metavar="N,N", help="how many packages repositories have")
    parser.add_argument("--json", type=Path, help="write the raw figures to this file")
    parser.add_argument("--scratch", type=Path, help="where content and servers' state go, best on a disk (TMPDIR)")
    subjects = [kind for kind in KINDS if kind != Nginx.kind]
    parser.add_argument(
        "--subject", choices=subjects, default=Pkgd.kind, help="the server under test; docker-registry shows the noise"
    )
    return parser.parse_args()


def _sizes(text: str) -> tuple[int, ...]:
    return tuple(int(one) for one in text.split(","))


def _stage(arguments: argparse.Namespace, scratch: Path) -> Stage:
    rounds = arguments.rounds or (QUICK_ROUNDS if arguments.quick else ROUNDS)
    client = Client(scratch / "client")
    content = Content(scratch / "content")
    layer = arguments.layer and arguments.layer * MIB
    return Stage(
        scratch, client, content, KINDS[arguments.subject], rounds, arguments.quick, layer, arguments.sizes or ()
    )


def _run(stage: Stage, names: list[str]) -> Results:
    results = Results()
    machine = f"{os.cpu_count()} CPUs, load average {os.getloadavg()[0]:.2f} before"
    _say(f"{stage.subject_label} under test, {stage.rounds} rounds, {machine}")
    for name in names:
        results.run(name, stage)
    return results


def _end(arguments: argparse.Namespace, results: Results) -> int:
    if arguments.json:
        settings = {name: str(value) for name, value in vars(arguments).items()}
        arguments.json.write_text(report.as_json(settings, results.outcomes, results.errors))
    _say(f"\n{report.bars_summary(results.outcomes)}")
    _say(f"{len(results.outcomes.keys() - results.errors.keys())} passed, {len(results.errors)} failed")
    return 1 if results.errors else 0


def _others_seconds() -> float:
    """CPU seconds of everything but the bench and its servers, once those have stopped; with the kernel's threads."""
    return procfs.busy_seconds() - procfs.own_seconds()


def _say(line: str) -> None:
    print(line, flush=True)


sys.exit(main())
