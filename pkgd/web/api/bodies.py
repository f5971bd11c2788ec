"""JSON that requests to `/api/v1` bring, read into the shape that it has to have."""

from __future__ import annotations

from typing import TypeVar

import msgspec

from pkgd.errors import InvalidRequest
from pkgd.web.request import Request

__all__ = ["read_json"]

T = TypeVar("T")


async def read_json(request: Request, shape: type[T], limit: int) -> T:
    """The body.

    :param limit: how many bytes it may have.
    :raises InvalidRequest: if it has another shape, with the reason; also if it is nested too deeply to be read.
    :raises TooLarge: if it is longer.
    """
    try:
        return msgspec.json.decode(await request.body.read_all(limit), type=shape)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidRequest("", str(error)) from None
