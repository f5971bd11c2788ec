"""What does not fit what is here, or is too large for it."""

from __future__ import annotations

from attrs import define

from pkgd.errors.base import PkgdError

__all__ = [
    "AlreadyExists",
    "Conflict",
    "DigestMismatch",
    "OffsetMismatch",
    "SessionBusy",
    "TooLarge",
    "TooManyTags",
    "UnsatisfiableRange",
]


class Conflict(PkgdError):
    """The request does not fit the present state."""


@define(auto_exc=True, eq=False)
class DigestMismatch(Conflict):
    """The bytes do not have the digest that the client gave."""

    expected: str
    actual: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"provided digest {self.expected} does not match the content, which has {self.actual}"


@define(auto_exc=True, eq=False)
class OffsetMismatch(Conflict):
    """A chunk does not begin where the session ends."""

    location: str
    offset: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"the chunk does not begin at byte {self.offset}, where the upload stands"


@define(auto_exc=True, eq=False)
class SessionBusy(Conflict):
    """Another request is writing to this upload session."""

    location: str
    offset: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "another request is writing to this upload session"


@define(auto_exc=True, eq=False)
class AlreadyExists(Conflict):
    """A package of this name, version and architecture is there, with other content."""

    what: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"{self.what} is there already, with other content: it needs another version"


@define(auto_exc=True, eq=False)
class UnsatisfiableRange(Conflict):
    """No byte of the requested range exists (RFC 9110, 15.5.17)."""

    size: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"the requested range is not within the {self.size} bytes of the content"


@define(auto_exc=True, eq=False)
class TooLarge(PkgdError):
    """The content is larger than the limit."""

    limit: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"the content is larger than the limit of {self.limit} bytes"


@define(auto_exc=True, eq=False)
class TooManyTags(PkgdError):
    """More `tag` parameters than one request may carry."""

    limit: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"at most {self.limit} tags may be given with one manifest"
