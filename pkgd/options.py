"""Options of commands that may also stand behind the arguments, as users of other tools are used to."""

from __future__ import annotations

import getopt
from collections.abc import Sequence
from typing import Any

from twisted.python import usage

__all__ = ["AnywhereOptions"]


class AnywhereOptions(usage.Options):
    """A command line whose options stand anywhere."""

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        """Sort them."""
        try:
            given, arguments = getopt.gnu_getopt(list(options or ()), self.shortOpt, self.longOpt)
        except getopt.error as error:
            raise usage.UsageError(str(error)) from error
        flat = [part for name, value in given for part in ((name, value) if value else (name,))]
        base: Any = super()
        base.parseOptions([*flat, "--", *arguments])
