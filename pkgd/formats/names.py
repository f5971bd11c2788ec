"""The names of the distribution API: repository, tag, reference, upload id.

Each is its own type, so that none can be passed where another is meant
(distribution-spec, "Pulling manifests").
"""

from __future__ import annotations

import re

from attrs import frozen

from pkgd.errors import InvalidName, InvalidReference, UnknownUpload
from pkgd.formats.digest import Digest

__all__ = ["Origin", "Reference", "Repository", "RepositoryName", "Tag", "UploadId", "parse_reference"]

# Clients limit host, slash and name together to 255 characters, so no longer name can be used.
MAX_NAME = 255

_PART = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_NAME = re.compile(rf"{_PART}(?:/{_PART})*")
_TAG = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")
_UPLOAD = re.compile(r"[0-9a-f]{32}")


class RepositoryName(str):
    """A repository's name, of any depth."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> RepositoryName:
        """Check the grammar.

        :raises InvalidName: if it is not a repository name.
        """
        if len(text) > MAX_NAME or not _NAME.fullmatch(text):
            raise InvalidName(text)
        return cls(text)


@frozen
class Origin:
    """A repository of an upstream registry: the registry's canonical host, and the repository's name there."""

    host: str
    name: RepositoryName

    def __str__(self) -> str:
        return f"{self.host}/{self.name}"


Repository = RepositoryName | Origin
"""A hosted repository, or one of an upstream."""


class Tag(str):
    """A tag: up to 128 letters, digits, `_`, `.` and `-`."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Tag:
        """Check the grammar.

        :raises InvalidReference: if it is not a tag.
        """
        if not _TAG.fullmatch(text):
            raise InvalidReference(text)
        return cls(text)


class UploadId(str):
    """The name of an upload session: 128 random bits in hex."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> UploadId:
        """Check the grammar.

        :raises UnknownUpload: if no session can have this name.
        """
        if not _UPLOAD.fullmatch(text):
            raise UnknownUpload(text[:64])
        return cls(text)


Reference = Tag | Digest


def parse_reference(text: str) -> Reference:
    """Read a tag or a digest: what has a colon is a digest.

    :raises InvalidDigest: for a malformed digest.
    :raises InvalidReference: for a malformed tag.
    """
    return Digest.parse(text) if ":" in text else Tag.parse(text)
