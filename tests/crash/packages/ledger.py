"""What the server has promised of packages and keys: each change with the moments of its request and its answer.

A thing is a package in a suite, or in an rpm repository, or a key in key.asc; one client at a time changes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.crash.ledger import Moment

Thing = tuple[str, str]
"""Where it is, and its name."""


@dataclass(slots=True)
class Operation:
    """One change: afterwards the thing is there, or not."""

    thing: Thing
    is_there: bool
    started: Moment
    acknowledged: Moment | None = None


@dataclass
class PackageLedger:
    """Every operation of a run; `position` is how much the disk has been told by now."""

    position: Callable[[], int] = lambda: 0
    operations: list[Operation] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, thing: Thing, is_there: bool) -> Operation:
        """A request is about to be sent."""
        with self._lock:
            operation = Operation(thing, is_there, self._moment())
            self.operations.append(operation)
            return operation

    def acknowledge(self, operation: Operation) -> None:
        """It has been answered with 2xx."""
        with self._lock:
            operation.acknowledged = self._moment()

    def _moment(self) -> Moment:
        return Moment(len(self.operations), self.position())

    def permitted(self, position: float = float("inf")) -> dict[Thing, frozenset[bool]]:
        """What may be found if the disk was last told something at this position."""
        found: dict[Thing, frozenset[bool]] = {}
        for one in self.operations:
            if one.started.position > position:
                continue
            if one.acknowledged is not None and one.acknowledged.position <= position:
                found[one.thing] = frozenset([one.is_there])
            else:
                found[one.thing] = found.get(one.thing, frozenset([False])) | {one.is_there}
        return found

    def broken(self, things: frozenset[Thing], position: float = float("inf")) -> list[str]:
        """What of the promise is not kept, if these things are found."""
        permitted = self.permitted(position)
        faults = [f"{thing} was never sent" for thing in things - permitted.keys()]
        for thing, allowed in permitted.items():
            if (thing in things) not in allowed:
                faults.append(f"{thing} was acknowledged as {'there' if True in allowed else 'gone'}, and isn't so")
        return faults
