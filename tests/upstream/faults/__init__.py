"""Every fault that the suite knows, by subject."""

from __future__ import annotations

from collections.abc import Iterator

from tests.upstream.fault import Fault
from tests.upstream.faults import bodies, challenges, content, gates, heads, redirects, statuses, tokens

SUBJECTS = (gates, heads, bodies, content, statuses, redirects, challenges, tokens)


def all_faults() -> Iterator[Fault]:
    """The faults, those of one subject after another."""
    for subject in SUBJECTS:
        yield from subject.FAULTS
