"""What rpm's own library says; run by the system's Python, which is the one that has it.

`rpm_judge.py read` reads paths from standard input and prints a line for each: the package's NEVRA, or `refused`.
`rpm_judge.py compare` reads versions, one a line, and prints a row of `<`, `=` and `>` for each against all.
"""

from __future__ import annotations

import os
import sys

import rpm  # type: ignore[import-not-found]


def read(paths: list[str]) -> None:
    """Print what each file is, as far as its structure goes: digests and signatures are not looked at."""
    transaction = rpm.TransactionSet()
    transaction.setVSFlags(rpm._RPMVSF_NODIGESTS | rpm._RPMVSF_NOSIGNATURES)
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            header = transaction.hdrFromFdno(descriptor)
            print(ascii(header.sprintf("%{NAME}-%{VERSION}-%{RELEASE}"))[1:-1], flush=True)
        except (rpm.error, UnicodeError):
            print("refused", flush=True)
        finally:
            os.close(descriptor)


def compare(versions: list[str]) -> None:
    """Print the order of all pairs."""
    signs = {-1: "<", 0: "=", 1: ">"}
    for one in versions:
        print("".join(signs[rpm.labelCompare(("0", one, ""), ("0", other, ""))] for other in versions))


if __name__ == "__main__":
    {"read": read, "compare": compare}[sys.argv[1]](sys.stdin.read().splitlines())
