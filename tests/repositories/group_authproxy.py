"""Users behind a proxy, pkgd being told its URL by its configuration; nginx, as it is by default, tells it nothing."""

from __future__ import annotations

from collections.abc import Iterator

from tests.repositories import proxiedlogins
from tests.repositories.bench import Bench, Case


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    return proxiedlogins.cases(bench)
