"""Manifests and what holds them (pure): what a kept manifest names stays, and so does what refers to it.

Tags by which clients attach something to a manifest, such as `sha256-….sig` of cosign or the fallback tags of
referrers, hold nothing by themselves: they make their manifest a referrer of that one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from attrs import frozen

from pkgd.formats.digest import Digest
from pkgd.registry.naming import Naming
from pkgd.registry.referrers import fallback_tag

__all__ = ["Graph", "is_attached"]

_ATTACHED = re.compile(r"(sha256|sha512)-[0-9a-f]{64}(?:\..*)?")


def is_attached(tag: str) -> bool:
    """Whether a tag says by its form that it belongs to a manifest."""
    return _ATTACHED.fullmatch(tag) is not None


@frozen
class Graph:
    """The manifests of a repository.

    `names` has what each names, `referrers` what refers to each, and `roots` are those that a tag holds.
    """

    names: Mapping[str, frozenset[str]]
    referrers: Mapping[str, frozenset[str]]
    roots: frozenset[str]

    @classmethod
    def of(cls, manifests: Iterable[Naming], tags: Mapping[str, str]) -> Graph:
        """
        :param tags: each with the digest that it points to.
        """
        names, subjects = dict[str, frozenset[str]](), dict[str, set[str]]()
        for one in manifests:
            names[one.digest] = names.get(one.digest, frozenset()) | one.names
            if one.subject is not None:
                subjects.setdefault(one.subject, set()).add(one.digest)
        about = {fallback_tag(Digest.parse(digest)): digest for digest in names}
        roots = set[str]()
        for tag, digest in tags.items():
            subject = about.get(tag.partition(".")[0]) if is_attached(tag) else None
            if subject is None:
                roots.add(digest)
            elif digest in names:
                names[digest] |= {subject}
                subjects.setdefault(subject, set()).add(digest)
        return cls(names, {subject: frozenset(those) for subject, those in subjects.items()}, frozenset(roots))

    def kept(self, further: Iterable[str]) -> set[str]:
        """All that stays if the roots do, and these."""
        waiting, kept = [*self.roots, *further], set[str]()
        while waiting:
            one = waiting.pop()
            if one in self.names and one not in kept:
                kept.add(one)
                waiting += self.names[one]
                waiting += self.referrers.get(one, ())
        return kept

    def unkept(self, further: Iterable[str]) -> list[str]:
        """All that does not, those first that name others of them."""
        return self._in_order(self.names.keys() - self.kept(further))

    def _in_order(self, those: Iterable[str]) -> list[str]:
        left, found = set(those), list[str]()
        for start in sorted(left):
            waiting = [(start, False)]
            while waiting:
                one, is_done = waiting.pop()
                if is_done:
                    found.append(one)
                elif one in left:
                    left.discard(one)
                    waiting.append((one, True))
                    waiting += [(it, False) for it in sorted(self.names[one]) if it in left]
        return found[::-1]
