"""A row of the distribution API's table, and the request that a handler gets."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import frozen

from pkgd.web.gate import Grant
from pkgd.web.registry.paths import Kind, V2Path
from pkgd.web.request import Request

__all__ = ["Call", "Endpoint"]


@frozen
class Call:
    """An admitted request: what its path names, and what it was granted."""

    request: Request
    path: V2Path
    grant: Grant

    @property
    def name(self) -> Any:
        """The repository; only for paths that name one."""
        return self.path.name


@frozen
class Endpoint:
    """A row of the table.

    `at_once`, where there is one, is tried before the handler: it answers and returns True if
    nothing has to be waited for, which saves the hottest requests a coroutine.
    """

    kind: Kind
    methods: tuple[str, ...]
    handler: Callable[[Call], Awaitable[None]]
    at_once: Callable[[Call], bool] | None = None
