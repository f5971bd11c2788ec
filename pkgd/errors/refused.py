"""What may not be done, or not by who asks."""

from __future__ import annotations

from attrs import define

from pkgd.errors.base import PkgdError

__all__ = [
    "AuthUnavailable",
    "Concealed",
    "Denied",
    "ImmutableTag",
    "Refused",
    "Throttled",
    "TokenRefused",
    "Unauthenticated",
    "Unsupported",
]


class Refused(PkgdError):
    """The request is understood and not allowed."""


@define(auto_exc=True, eq=False)
class Denied(Refused):
    """The policy does not allow it."""

    what: str = ""

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"access denied: {self.what}"


@define(auto_exc=True, eq=False)
class Concealed(Refused):
    """repository not known to the registry

    Or known, and not to be read by who asks: the two look alike. It is no `Unknown`, for nobody has looked.
    """

    name: str

    @property
    def message(self) -> str:
        """One sentence for the user: the same as if the repository were not there."""
        return f"repository not known to the registry: {self.name}"


@define(auto_exc=True, eq=False)
class ImmutableTag(Refused):
    """The tag was set for good: it stays where it is, whoever asks (`repositories.oci.immutable_tags`)."""

    repository: str
    tag: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"the tag {self.tag} of {self.repository} is immutable: it stays, and so does what it leads to"


@define(auto_exc=True, eq=False)
class Unauthenticated(Refused):
    """Credentials are needed, or those that were given are wrong.

    `reason` is for the user, and never tells whether there is such a user. `challenge` is the value of
    WWW-Authenticate (RFC 9110, 11.6.1), which the gate adds.
    """

    reason: str = "credentials are needed"
    challenge: str = ""

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"authentication required: {self.reason}"


@define(auto_exc=True, eq=False)
class TokenRefused(Refused):
    """A token that somebody else has made is not believed; `reason` is for the log, and has nothing of the token."""

    reason: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "the token is not valid"


@define(auto_exc=True, eq=False)
class Throttled(Refused):
    """Too many wrong credentials of late; `retry_after` is in seconds."""

    retry_after: float

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "too many failed attempts to log in: wait a little"


@define(auto_exc=True, eq=False)
class AuthUnavailable(PkgdError):
    """Whoever knows whether the credentials are right cannot be asked now: nobody is let in on a guess."""

    reason: str = ""
    retry_after: float = 15.0

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "the credentials cannot be checked at present: try again in a moment"


@define(auto_exc=True, eq=False)
class Unsupported(Refused):
    """The method or operation does not exist here."""

    what: str = ""
    allowed: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"unsupported: {self.what}"
