"""A table for APIs of a few paths: first the path, whose parameters stand in braces, then the method."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from pkgd.errors import UnknownRoute, Unsupported
from pkgd.web.request import Request
from pkgd.web.target import parse_path

__all__ = ["Routes"]

T = TypeVar("T")


class Routes(Generic[T]):
    """Finds what a request is for."""

    def __init__(self, rows: Iterable[tuple[str, Sequence[str], T]]) -> None:
        """
        :param rows: a path such as `/keys/{key}`, methods, and what is found for them.
        """
        self._paths: dict[str, dict[str, T]] = {}
        for path, methods, found in rows:
            self._paths.setdefault(path, {}).update(dict.fromkeys(methods, found))

    @property
    def paths(self) -> list[str]:
        """Every path."""
        return list(self._paths)

    def find(self, request: Request) -> tuple[T, list[str]]:
        """What a request is for, and its path's parameters.

        :raises MalformedHttp: if the path is not plain.
        :raises UnknownRoute: if there is no such path.
        :raises Unsupported: if there is, and it has no such method.
        """
        segments = parse_path(request.path)
        for path, methods in self._paths.items():
            values = _values(path, segments)
            if values is None:
                continue
            method = request.method.decode("ascii")
            if method not in methods:
                raise Unsupported(f"{method} is not among {', '.join(methods)} here", tuple(methods))
            return methods[method], values
        raise UnknownRoute(request.path.decode("ascii", "replace")[:200])


def _values(path: str, segments: Sequence[str]) -> list[str] | None:
    """What stands where a path has its parameters; None if it is another path."""
    parts = path[1:].split("/")
    if len(parts) != len(segments):
        return None
    values = []
    for part, segment in zip(parts, segments, strict=True):
        if part.startswith("{") and segment:
            values.append(segment)
        elif part != segment:
            return None
    return values
