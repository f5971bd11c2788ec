"""What is not well-formed: of a request, or of what comes with it."""

from __future__ import annotations

from attrs import define

from pkgd.errors.base import PkgdError

__all__ = [
    "Invalid",
    "InvalidDigest",
    "InvalidHost",
    "InvalidKey",
    "InvalidManifest",
    "InvalidName",
    "InvalidPackage",
    "InvalidReference",
    "InvalidRequest",
    "InvalidSize",
    "InvalidUpload",
]


@define(auto_exc=True, eq=False)
class Invalid(PkgdError):
    """The request is not well-formed."""

    value: str = ""
    reason: str = ""

    @property
    def message(self) -> str:
        """One sentence for the user."""
        shown = self.value if len(self.value) <= 200 else self.value[:200] + "…"
        what = (self.__doc__ or "").splitlines()[0].rstrip(".")
        return f"{what}{f' {shown!r}' if shown else ''}{f': {self.reason}' if self.reason else ''}"


class InvalidName(Invalid):
    """invalid repository name"""


class InvalidHost(Invalid):
    """not the host of a registry that may be mirrored"""


class InvalidKey(Invalid):
    """not a usable OpenPGP key"""


class InvalidPackage(Invalid):
    """invalid package"""


class InvalidReference(Invalid):
    """invalid tag or digest"""


class InvalidDigest(Invalid):
    """invalid digest"""


class InvalidManifest(Invalid):
    """invalid manifest"""


class InvalidUpload(Invalid):
    """invalid upload request"""


class InvalidSize(Invalid):
    """the length does not fit the range"""


class InvalidRequest(Invalid):
    """invalid request"""
