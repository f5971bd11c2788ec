"""Runs groups of cases, and the matrix, one after the other; counts, and prints what failed."""

from __future__ import annotations

import asyncio
import importlib
import textwrap
import time
from collections import Counter

from tests.upstream.bench import Bench, Case, expect
from tests.upstream.matrix import Cell, Matrix, cells

_PATIENCE = 90.0
_LONGEST = 1500

MATRIX = "matrix"
GROUPS = (
    "faults",
    MATRIX,
    "freshness",
    "unplugged",
    "flight",
    "resume",
    "fallback",
    "referrers",
    "hosted",
    "switches",
    "chain",
    "canaries",
    "limits",
    "addresses",
)


class Suite:
    """The counts, and the way they come about."""

    def __init__(self, bench: Bench, only: str, shown: int, verbose: bool) -> None:
        self.passed = 0
        self.failed = 0
        self._bench = bench
        self._only = only
        self._shown = shown
        self._verbose = verbose

    async def run(self, group: str) -> None:
        """Run one group, then what is to be looked at when its mirrors have ended, and print its counts."""
        before, began = (self.passed, self.failed), time.monotonic()
        if group == MATRIX:
            await self._run_matrix()
        else:
            await self._run_cases(group)
        for case in (*self._bench.afterwards, Case("nobody was led astray", self._led_astray)):
            await self._try(group, case)
        self._bench.afterwards.clear()
        passed, failed = self.passed - before[0], self.failed - before[1]
        print(f"{group:12} {passed:5} passed {failed:4} failed {time.monotonic() - began:6.1f} s")

    async def _led_astray(self) -> None:
        """No mirror has connected to where upstreams and clients may not lead it."""
        expect("connections to forbidden addresses", self._bench.surroundings.led_astray(), [])

    async def _run_cases(self, group: str) -> None:
        module = importlib.import_module(f"tests.upstream.scenarios.{group}")
        try:
            async for case in module.cases(self._bench):
                if self._only in case.name:
                    await self._try(group, case)
        except Exception as error:  # what the cases stand on, such as a mirror that doesn't start
            self._report(f"{group}: surroundings", error)

    async def _try(self, group: str, case: Case) -> None:
        try:
            await asyncio.wait_for(case.trial(), _PATIENCE)
        except TimeoutError as error:
            self._report(f"{group}: {case.name}", error or TimeoutError(f"not done within {_PATIENCE:.0f} s"))
        except Exception as error:  # whatever it is, it is this case's failure and no other's
            self._report(f"{group}: {case.name}", error)
        else:
            self._report(f"{group}: {case.name}")

    def _report(self, name: str, error: Exception | None = None) -> None:
        if error is None:
            self.passed += 1
            if self._verbose:
                print(f"ok   {name}")
            return
        self.failed += 1
        print(f"FAIL {name}")
        print(textwrap.indent(f"{type(error).__name__}: {error}"[:_LONGEST], "     | "))

    async def _run_matrix(self) -> None:
        chosen = [one for one in cells() if self._only in str(one)]
        matrix = Matrix(self._bench)
        try:
            await matrix.run(chosen)
        except Exception as error:  # the mirror doesn't start, or has fallen
            self._report("matrix: surroundings", error)
        self.passed += matrix.passed.total()
        self.failed += len(matrix.failures)
        for cell, faults in matrix.failures[: self._shown]:
            print(f"FAIL {cell}")
            print(textwrap.indent(faults[:_LONGEST], "     | "))
        _print_kinds(matrix)


def _print_kinds(matrix: Matrix) -> None:
    failed: Counter[str] = Counter(cell.kind.value for cell, _ in matrix.failures)
    for kind in sorted(matrix.passed | failed):
        print(f"  {kind:26} {matrix.passed[kind]:4} passed {failed[kind]:4} failed")
    slowest = sorted(matrix.slowest, key=lambda one: -one[0])[:3]
    print("  slowest: " + "; ".join(f"{seconds:.1f} s {_short(cell)}" for seconds, cell in slowest))


def _short(cell: Cell) -> str:
    return f"{cell.fault.name}, {cell.kind.value}, {cell.state.value}"
