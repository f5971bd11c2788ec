"""What retention has found: values for reports, and for who notes what was removed."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

from attrs import define, field, frozen

__all__ = ["Goner", "Note", "Order", "Outcome", "Times"]


@frozen
class Goner:
    """What goes, or would: a tag, a manifest by its digest, or a package as "name version architecture".

    `pushed` is in seconds since the epoch, None where nobody had to know it; `rule` is the one that decides. Of
    packages there are also the component and the path of the file, of tags the digest.
    """

    kind: Literal["tag", "manifest", "package"]
    name: str
    rule: str
    reason: str
    pushed: float | None = None
    digest: str | None = None
    component: str | None = None
    file: str | None = None


@define
class Outcome:
    """What was found in a repository or suite: what goes, and how much stays of what rules with limits decide about.

    `problem` is why something was left alone there.
    """

    resource: str
    stays: int = 0
    goes: list[Goner] = field(factory=list)
    problem: str = ""


# Is told of each that has gone, with its resource.
Note = Callable[[str, Goner], None]


class Times:
    """What time it is: a clock that is set forward makes nothing older.

    :param monotonic: in seconds, and `wall`, in seconds since the epoch.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time) -> None:
        self.monotonic = monotonic
        self._wall = wall
        self.began = monotonic()
        self._began_wall = wall()

    def now(self) -> float:
        """Seconds since the epoch."""
        return min(self._wall(), self._began_wall + self.monotonic() - self.began)


@frozen
class Order:
    """What a pass is to do.

    :param apply: remove; else only say what would be removed.
    :param grace: how long a client may count on what it was told of, in seconds.
    :param alone: no daemon runs, so nobody is pushing.
    :param is_over: whether nobody waits for the rest.
    """

    apply: bool
    grace: float
    alone: bool
    note: Note
    is_over: Callable[[], bool]
