"""What apt's own library says of versions; run by the system's Python, which is the one that has it.

Reads versions from standard input, one a line, and prints a row of `<`, `=` and `>` for each against all.
"""

from __future__ import annotations

import sys

import apt_pkg  # type: ignore[import-not-found]


def main() -> None:
    """Print the order of all pairs."""
    apt_pkg.init_system()
    versions = sys.stdin.read().splitlines()
    for one in versions:
        orders = [apt_pkg.version_compare(one, other) for other in versions]
        print("".join("<" if order < 0 else ">" if order > 0 else "=" for order in orders))


if __name__ == "__main__":
    main()
