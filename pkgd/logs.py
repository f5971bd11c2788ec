"""The application log: one line per event on standard error, from a level on."""

from __future__ import annotations

import sys
from typing import TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    formatEventAsClassicLogText,
    globalLogBeginner,
)

__all__ = ["begin", "observer"]


def observer(level: str, stream: TextIO) -> ILogObserver:
    """An observer that writes events of `level` and above."""
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(level))
    return FilteringLogObserver(FileLogObserver(stream, formatEventAsClassicLogText), [predicate])


def begin(level: str) -> None:
    """Log to standard error from now on."""
    globalLogBeginner.beginLoggingTo([observer(level, sys.stderr)], redirectStandardIO=False, discardBuffer=False)
