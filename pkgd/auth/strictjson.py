"""JSON from whom nobody trusts: an object that every reader reads alike, or nothing.

Two members of one name, numbers that are none, and halves of surrogate pairs are where readers differ (RFC 8259, 4 and
8.2), so that one would check what another uses.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

__all__ = ["parse_object"]


def parse_object(data: bytes) -> dict[str, Any]:
    """Read an object in UTF-8; whoever calls bounds the size.

    :raises ValueError: if it is none, or ambiguous. The message has nothing of the data in it.
    """
    try:
        found = json.loads(data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_refuse)
        # Escapes can spell surrogates alone, which are no text.
        json.dumps(found, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError):
        raise ValueError("this is no JSON that could be understood in one way only") from None
    if not isinstance(found, dict):
        raise ValueError("this is no JSON object")
    return found


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member is there twice")
    return found


def _refuse(_: str) -> NoReturn:
    raise ValueError("no number")
