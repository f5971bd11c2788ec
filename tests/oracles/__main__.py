"""Compare pkgd with the programs that define what it has to write: `python -m tests.oracles SUITE [OPTION …]`.

A suite is a module here with a `main(arguments)`; its last line says how many comparisons held and how many did not.
"""

from __future__ import annotations

import importlib
import sys

SUITES = ("deb", "openpgp", "rpm")


def main() -> int:
    """Run the suite that is named first and return its exit status."""
    if len(sys.argv) < 2 or sys.argv[1] not in SUITES:
        print(f"usage: python -m tests.oracles {{{','.join(SUITES)}}} [--sample N]")
        return 2
    return int(importlib.import_module(f"tests.oracles.{sys.argv[1]}").main(sys.argv[2:]))


if __name__ == "__main__":
    sys.exit(main())
