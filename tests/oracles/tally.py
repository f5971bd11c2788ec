"""Counts what held and what did not, and shows the first failures of each kind."""

from __future__ import annotations

from collections import Counter

from attrs import define, field

__all__ = ["Tally"]

_SHOWN = 5


@define
class Tally:
    """The results of a suite."""

    passed: Counter[str] = field(factory=Counter)
    failed: Counter[str] = field(factory=Counter)

    def add(self, what: str, failure: str | None) -> None:
        """Count one comparison: it held if there is no failure to tell of."""
        if failure is None:
            self.passed[what] += 1
            return
        self.failed[what] += 1
        if self.failed[what] <= _SHOWN:
            print(f"FAILED {what}: {failure}", flush=True)

    def add_many(self, what: str, passed: int, failed: int) -> None:
        """Count comparisons that were counted elsewhere."""
        self.passed[what] += passed
        self.failed[what] += failed

    def close(self) -> int:
        """Print the figures, the sums in the last line; returns the exit status."""
        for what in sorted(self.passed | self.failed):
            print(f"{what}: {self.passed[what]} passed, {self.failed[what]} failed")
        print(f"{self.passed.total()} passed, {self.failed.total()} failed")
        return 1 if self.failed.total() or not self.passed.total() else 0
