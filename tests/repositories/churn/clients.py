"""The clients of the churn: each one turn after the other, in a thread, until it is told to end."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from tests.repositories.aptclient import Apt
from tests.repositories.churn.tally import Lost, Tally
from tests.repositories.rpmclients import Dnf, Zypper

__all__ = ["Acknowledged", "Loop", "apt_turn", "dnf_turn", "zypper_turn"]

Turn = Callable[[], None]
Acknowledged = list[str]
"""The names of packages that have been answered for, in their order: the publisher appends, clients look."""


class Loop:
    """A client that takes turns."""

    def __init__(self, turn: Turn, tally: Tally, over: threading.Event) -> None:
        self._turn = turn
        self._tally = tally
        self._over = over
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> Loop:
        """Begin."""
        self._thread.start()
        return self

    def join(self) -> None:
        """Wait for the end of the last turn."""
        self._thread.join()

    def _run(self) -> None:
        while not self._over.is_set():
            error = None
            try:
                self._turn()
            except Exception as found:  # whatever a client complains of is what is counted here
                error = found
            self._tally.turn(error)


def _check(promised: Sequence[str], seen: set[str]) -> None:
    lost = [one for one in promised if one not in seen]
    if lost:
        raise Lost(f"{len(lost)} of {len(promised)} are not there, such as {lost[-1]}")


def apt_turn(apt: Apt, acknowledged: Acknowledged) -> Turn:
    """Update, see what is there, download what came last."""

    def turn() -> None:
        promised = list(acknowledged)
        apt.update()
        _check(promised, set(apt("apt-cache", "pkgnames").split()))
        apt("apt-get", "download", promised[-1])
        for file in apt.downloads.iterdir():
            file.unlink()

    return turn


def dnf_turn(dnf: Dnf, acknowledged: Acknowledged) -> Turn:
    """Fetch the metadata anew, and see what is there."""

    def turn() -> None:
        promised = list(acknowledged)
        _check(promised, set(dnf.names("--refresh")))

    return turn


def zypper_turn(zypper: Zypper, acknowledged: Acknowledged) -> Turn:
    """Refresh, and see what is there."""

    def turn() -> None:
        promised = list(acknowledged)
        zypper("refresh", "--force")
        rows = [line.split("|") for line in zypper("search").splitlines()]
        _check(promised, {row[1].strip() for row in rows if len(row) > 2})

    return turn
