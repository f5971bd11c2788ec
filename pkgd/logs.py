"""The application log: one line per event on standard error, from a level on; as text, or as JSON for machines."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from typing import TextIO

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    formatEvent,
    formatEventAsClassicLogText,
    globalLogBeginner,
)

__all__ = ["begin", "observer"]


def observer(level: str, form: str, stream: TextIO) -> ILogObserver:
    """An observer that writes events of `level` and above.

    :param form: `text` or `json`.
    """
    predicate = LogLevelFilterPredicate(LogLevel.levelWithName(level))
    write = _as_json if form == "json" else formatEventAsClassicLogText
    return FilteringLogObserver(FileLogObserver(stream, write), [predicate])


def begin(level: str, form: str) -> None:
    """Log to standard error from now on."""
    globalLogBeginner.beginLoggingTo([observer(level, form, sys.stderr)], redirectStandardIO=False, discardBuffer=False)


def _as_json(event: LogEvent) -> str:
    """An event as one object in one line."""
    level, failure = event.get("log_level"), event.get("log_failure")
    fields = {
        "time": datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds"),
        "level": level.name if level is not None else LogLevel.info.name,
        "logger": event.get("log_namespace", "-"),
        "message": formatEvent(event),
    }
    if failure is not None:
        fields["traceback"] = failure.getTraceback()
    return json.dumps(fields) + "\n"
