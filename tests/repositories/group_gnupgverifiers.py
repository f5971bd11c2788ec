"""The same types of keys in a home of GnuPG's."""

from __future__ import annotations

from collections.abc import Iterator

from tests.repositories import verifiers
from tests.repositories.bench import Bench, Case


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    return verifiers.cases(bench)
