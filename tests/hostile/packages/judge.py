"""What an answer to a hostile upload may be, and the sum of all."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field

from tests.hostile.packages.upload import Upload
from tests.repositories.web import Answer

__all__ = ["Taken", "Verdicts", "fault_of"]

_LONGEST_TEXT = 2000
_CONFLICT = 409


def fault_of(answer: Answer) -> str | None:
    """What is wrong with an answer, or None: it must be a refusal with a reason for people, or an acceptance."""
    if answer.status in (200, 201):
        return None
    if not 400 <= answer.status < 500:
        return f"{answer.status}: {answer.text[:200]!r}"
    if not answer.headers.get("content-type", "").startswith("text/plain"):
        return f"a refusal of type {answer.headers.get('content-type')}"
    if not answer.text.strip() or len(answer.text) > _LONGEST_TEXT or answer.text.strip().count("\n"):
        return f"no reason in one line: {answer.text[:200]!r}"
    if "Traceback" in answer.text or not answer.text.strip().isprintable():
        return f"a reason that is not for people: {answer.text[:200]!r}"
    return None


@dataclass(frozen=True)
class Taken:
    """An upload that was accepted, and where its file is."""

    upload: Upload
    location: str


@dataclass
class Verdicts:
    """All answers, by category. Threads may share it."""

    refused: Counter[str] = field(default_factory=Counter)
    conflicts: Counter[str] = field(default_factory=Counter)
    taken: dict[str, list[Taken]] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)
    longest: list[tuple[float, str]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, upload: Upload, answer: Answer, seconds: float) -> None:
        """One answer, and how long it took."""
        fault = fault_of(answer)
        with self._lock:
            self.longest = sorted([*self.longest, (seconds, f"{upload.category}: {upload.name}")], reverse=True)[:5]
            if fault is not None:
                self.faults.append(f"{upload.category}: {upload.name}: {fault}")
            elif answer.status == _CONFLICT:
                self.conflicts[upload.category] += 1
            elif answer.status >= 400:
                self.refused[upload.category] += 1
            else:
                found = Taken(upload, answer.headers.get("location", ""))
                self.taken.setdefault(upload.category, []).append(found)

    def fail(self, upload: Upload, error: Exception) -> None:
        """No answer."""
        with self._lock:
            self.faults.append(f"{upload.category}: {upload.name}: {type(error).__name__}: {error}")

    def lines(self) -> list[str]:
        """A line for each category."""
        names = sorted({*self.refused, *self.conflicts, *self.taken})
        return [
            f"  {name:22} {self.refused[name]:5} refused {len(self.taken.get(name, [])):5} taken"
            f" {self.conflicts[name]:4} other bytes of what was taken"
            for name in names
        ]
