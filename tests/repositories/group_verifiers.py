"""Keys of every type that pkgd makes: what verifiers that it has no part in say of what they have signed."""

from __future__ import annotations

from collections.abc import Iterator

from tests.repositories import verifiers
from tests.repositories.bench import Bench, Case


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    return verifiers.cases(bench)
