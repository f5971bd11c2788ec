"""The resources of a rule: globs such as `oci:team/**`, `mirror:docker.io/**` or `oci:${claims.project_path}/**`.

`*` and `?` stay within one part of a name, `**` spans parts; the whole name has to match. What a claim says
is never read as a pattern: it stands for itself, and only where it is a plain name.

A glob over apt repositories that has two parts, `apt:internal/testing`, is about suites; one that has one part is about
repositories with all their suites.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pkgd.auth.model import Access
from pkgd.errors import InvalidName
from pkgd.formats.globs import pattern_of
from pkgd.formats.names import RepositoryName

__all__ = ["ResourceGlob"]

_TEMPLATE = re.compile(r"\$\{claims\.([^{}]+)\}")
_WILD = re.compile(r"[*?]")


class ResourceGlob:
    """A glob over resources, with its kind in front."""

    def __init__(self, text: str) -> None:
        kind, _, glob = text.partition(":")
        self._kind = f"{kind}:"
        # Literal text and the names of claims, by turns.
        self._pieces = _TEMPLATE.split(glob)
        self._pattern = re.compile(self._expression({})) if len(self._pieces) == 1 else None
        self.names_host = kind == "mirror" and not _WILD.search(glob.partition("/")[0])
        """Whether it is about an upstream that it names in full."""
        # By what stands there: no claim turns a rule about repositories into one about suites.
        self._is_of_suites = kind == "apt" and "/" in "".join(self._pieces[::2])

    @property
    def claims(self) -> frozenset[str]:
        """The names of the claims in it."""
        return frozenset(self._pieces[1::2])

    def covers(self, access: Access, claims: Mapping[str, str | tuple[str, ...]]) -> bool:
        """Whether the access is to one of the resources meant, for a principal with these claims."""
        if not self._is_of_suites:
            return self.match(access.resource, claims)
        return access.suite is not None and self.match(f"{access.resource}/{access.suite}", claims)

    def match(self, resource: str, claims: Mapping[str, str | tuple[str, ...]]) -> bool:
        """Whether the resource is one of those meant, for a principal with these claims."""
        if not resource.startswith(self._kind):
            return False
        if self._pattern is not None:
            return self._pattern.fullmatch(resource) is not None
        values = {name: _names_in(claims.get(name, ())) for name in self._pieces[1::2]}
        return all(values.values()) and re.fullmatch(self._expression(values), resource) is not None

    def _expression(self, values: Mapping[str, list[str]]) -> str:
        """The whole as a regular expression; a claim that is named twice has the same value at both places."""
        parts, seen = [re.escape(self._kind)], list[str]()
        for number, piece in enumerate(self._pieces):
            if number % 2 == 0:
                parts.append(pattern_of(piece))
            elif piece in seen:
                parts.append(rf"(?:\{seen.index(piece) + 1})")
            else:
                seen.append(piece)
                parts.append(f"({'|'.join(re.escape(one) for one in values[piece])})")
        return "".join(parts)


def _names_in(claim: str | tuple[str, ...]) -> list[str]:
    """The values of a claim that may stand in a name. The others give nothing."""
    return [one for one in ([claim] if isinstance(claim, str) else claim) if _is_name(one)]


def _is_name(text: str) -> bool:
    try:
        RepositoryName.parse(text)
    except InvalidName:
        return False
    return True
