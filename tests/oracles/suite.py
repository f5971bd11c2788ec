"""A suite of oracles: what it needs is installed, it has a folder for its files, and it ends with its figures."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.oracles.sources import NotAvailable, require
from tests.oracles.tally import Tally

__all__ = ["run_suite"]


def run_suite(needed: dict[str, str], run: Callable[[Tally, Path], None]) -> int:
    """Run it, and return the exit status.

    :param needed: see `require`.
    """
    tally = Tally()
    try:
        require(needed)
        with tempfile.TemporaryDirectory(prefix="pkgd-oracles-") as scratch:
            run(tally, Path(scratch))
    except NotAvailable as error:
        print(error)
        tally.add("preparation", str(error))
    return tally.close()
