"""What a publisher has to know of the kind of repository that it publishes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from attrs import frozen

from pkgd.packages.drafts import Draft, Published
from pkgd.packages.generations import FileRef
from pkgd.packages.indices import Index
from pkgd.packages.leaves import Edits, Shape

__all__ = ["Composer", "Composition"]


@frozen
class Composition:
    """What makes a generation of indices: at which paths their files are, and the documents that name them."""

    files: Mapping[str, FileRef]
    documents: Mapping[str, bytes]


class Composer(Protocol):
    """What kind of repository it is. `shape` is that of the indices of packages."""

    shape: Shape

    def required(self) -> Iterable[str]:
        """The indices that are there even if they are empty."""

    def shape_of(self, slot: str) -> Shape:
        """The shape of an index."""

    def is_whole(self, slot: str) -> bool:
        """Whether an index is no list of entries."""

    def marks(self) -> str:
        """A text that changes when what is published would change though no package has."""

    async def derive(self, published: Published, draft: Draft) -> Mapping[str, Edits | None]:
        """The edits of indices that follow from others, as a draft edits those; None for an index that goes.

        :raises Storage: if what they follow from cannot be read.
        """

    async def compose(self, number: int, date: int, indices: Mapping[str, Index]) -> Composition:
        """Name the files and sign the documents.

        :raises SigningError: if they cannot be signed.
        """
