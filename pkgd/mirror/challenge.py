"""`WWW-Authenticate` read: the challenges of an upstream (RFC 9110, 11.6.1; RFC 6750, 3). Pure and bounded."""

from __future__ import annotations

import re

from attrs import frozen

__all__ = ["Challenge", "parse_challenges"]

MAX_LENGTH = 8192

_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_PARAMETER = re.compile(rf'({_WORD})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_WORD}[^\s,"]*))')
_SCHEME = re.compile(rf"({_WORD})(?=$|[ \t,])")
_BETWEEN = re.compile(r"[ \t,]*")
_ENCODED = re.compile(r"[A-Za-z0-9\-._~+/]+=*(?=$|[ \t]*,)")


@frozen
class Challenge:
    """One scheme, in lower case, with its parameters, names in lower case."""

    scheme: str
    parameters: dict[str, str]


def parse_challenges(headers: list[str]) -> list[Challenge]:
    """Read every challenge of every header; what cannot be read ends its header.

    Values may hold commas and spaces within quotes, as a scope does.
    """
    return [one for header in headers for one in _parse(header[:MAX_LENGTH])]


def _parse(text: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = _skip(text, 0)
    while position < len(text):
        parameter = _PARAMETER.match(text, position)
        if parameter is not None and found:
            quoted, plain = parameter[2], parameter[3]
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else plain
            found[-1].parameters.setdefault(parameter[1].lower(), value)
            position = _skip(text, parameter.end())
            continue
        scheme = _SCHEME.match(text, position)
        if scheme is None:
            break
        found.append(Challenge(scheme[1].lower(), {}))
        position = _skip(text, scheme.end())
        # A token in place of parameters (RFC 9110, 11.2), as Negotiate has; behind a comma, a word is the next scheme.
        encoded = None if "," in text[scheme.end() : position] else _ENCODED.match(text, position)
        if encoded is not None:
            position = _skip(text, encoded.end())
    return found


def _skip(text: str, position: int) -> int:
    match = _BETWEEN.match(text, position)
    return position if match is None else match.end()
