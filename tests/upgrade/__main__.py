"""Start pkgd on what others have left, and others on what pkgd leaves: counts what is as it should be.

From the original server's tree, and from the release of this repository before this one, whose code is kept here.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
from pathlib import Path

from tests.backup.__main__ import free_port
from tests.modes.__main__ import Checks
from tests.upgrade import from_original, from_previous

# The code of the release before this one: git archive COMMIT pkgd twisted | xz -9e
_PREVIOUS = Path(__file__).with_name("previous.tar.xz")


def main() -> int:
    """Run the suite and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.upgrade", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--previous", type=Path, default=_PREVIOUS, metavar="ARCHIVE", help="the older release")
    options = parser.parse_args()
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-upgrade-"))
    checks = Checks()
    try:
        from_original.run(checks, free_port(), scratch / "from-original")
        from_previous.run(checks, free_port(), scratch / "from-previous", options.previous)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{checks.passed} passed, {checks.failed} failed")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
