"""The same types of keys in a home of GnuPG's."""

from __future__ import annotations

from collections.abc import Iterator

from tests.repositories import verifiers
from tests.repositories.bench import Bench, Case


def cases(bench: Bench) -> Iterator[Case]:
    """The cases; packages of rpm stay as they are."""
    return verifiers.cases(bench, packages_are_signed=False)
