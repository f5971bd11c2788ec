"""What upstreams have lately said they do not have, so that they are not asked again at once."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime

__all__ = ["Absences"]

MAX_ENTRIES = 16384


class Absences:
    """Remembers for `seconds`, and a bounded number. Only definite answers belong here, no failures."""

    def __init__(self, clock: IReactorTime, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._until: OrderedDict[Hashable, float] = OrderedDict()

    def note(self, what: Hashable) -> None:
        """It is not there."""
        if not self._seconds:
            return
        self._until[what] = self._clock.seconds() + self._seconds
        self._until.move_to_end(what)
        while len(self._until) > MAX_ENTRIES:
            self._until.popitem(last=False)

    def holds(self, what: Hashable) -> bool:
        """Whether it is known not to be there; a clock that has been set back makes nothing absent for ever."""
        until = self._until.get(what)
        if until is None:
            return False
        if not until - self._seconds <= self._clock.seconds() < until:
            del self._until[what]
            return False
        return True
