"""Users behind a proxy, pkgd having only the proxy's word for its URL."""

from __future__ import annotations

from collections.abc import Iterator

from tests.repositories import proxiedlogins
from tests.repositories.bench import Bench, Case


def cases(bench: Bench) -> Iterator[Case]:
    """The cases."""
    return proxiedlogins.cases(
        bench, "Host $http_host", "X-Forwarded-Proto $scheme", "X-Forwarded-For $proxy_add_x_forwarded_for"
    )
