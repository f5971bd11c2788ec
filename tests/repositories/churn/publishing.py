"""One publish after the other, each noted when it has been answered for."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.repositories.churn.clients import Acknowledged

__all__ = ["Publishing", "name_of"]


def name_of(file: Path) -> str:
    """The name of the package in a file."""
    return file.name.rsplit("-", 2)[0] if file.suffix == ".rpm" else file.name.partition("_")[0]


class Publishing:
    """Publishes files in a thread, at most one in `pace` seconds."""

    def __init__(self, publish: Callable[[Path], None], files: Sequence[Path], pace: float) -> None:
        """
        :param files: the first is there already.
        """
        self._publish = publish
        self._files = files[1:]
        self._pace = pace
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.acknowledged: Acknowledged = [name_of(files[0])]
        self.seconds: list[float] = []
        self.failures: list[str] = []

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def wait(self, patience: float | None = None) -> None:
        """Wait until all are published, or until there is no patience left."""
        self._thread.join(patience)
        self._over.set()
        self._thread.join()

    def report(self) -> str:
        """How many, and how long each took."""
        if not self.seconds:
            return "no publishes"
        ordered = sorted(self.seconds)
        middle, late = statistics.median(ordered), ordered[int(len(ordered) * 0.99)]
        return f"{len(ordered)} publishes, each {middle * 1000:.0f} ms (median), {late * 1000:.0f} ms (99th percentile)"

    def _run(self) -> None:
        for file in self._files:
            began = time.monotonic()
            try:
                self._publish(file)
            except Exception as error:  # to be reported with the figures; the clients go on
                self.failures.append(f"{file.name}: {error}"[-500:])
            else:
                self.acknowledged.append(name_of(file))
                self.seconds.append(time.monotonic() - began)
            if self._over.wait(max(0.0, self._pace - (time.monotonic() - began))):
                return
