"""Handlers that cannot read a stored file say so to whoever looks at it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from pkgd.errors import FailedStorage

__all__ = ["telling"]


@contextmanager
def telling(tell: Callable[[], None]) -> Iterator[None]:
    """Tell if what is done in the `with` block fails to read: the client has an error, or a connection that is cut."""
    try:
        yield
    except FailedStorage:
        tell()
        raise
