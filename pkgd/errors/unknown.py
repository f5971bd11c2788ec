"""What the client asked for, and what is not here."""

from __future__ import annotations

from attrs import define

from pkgd.errors.base import PkgdError

__all__ = [
    "MissingBlob",
    "Unknown",
    "UnknownBlob",
    "UnknownKey",
    "UnknownManifest",
    "UnknownName",
    "UnknownPackage",
    "UnknownRefreshToken",
    "UnknownRepository",
    "UnknownRoute",
    "UnknownUpload",
    "UnknownUser",
]


@define(auto_exc=True, eq=False)
class Unknown(PkgdError):
    """It is not here."""

    what: str = ""

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"{(self.__doc__ or '').splitlines()[0]}: {self.what}"


class UnknownName(Unknown):
    """repository not known to the registry"""


class UnknownBlob(Unknown):
    """blob not known to the repository"""


class UnknownManifest(Unknown):
    """manifest not known to the repository"""


class MissingBlob(Unknown):
    """the manifest names a blob that the repository does not have"""


class UnknownUpload(Unknown):
    """upload session not known to the repository"""


class UnknownRepository(Unknown):
    """no such repository, suite or component"""


class UnknownPackage(Unknown):
    """no such package or file in the repository"""


class UnknownKey(Unknown):
    """no such API key"""


class UnknownRefreshToken(Unknown):
    """no such refresh token"""


class UnknownUser(Unknown):
    """no such disabled user"""


class UnknownRoute(Unknown):
    """no such endpoint"""
