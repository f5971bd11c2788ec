"""What an upstream registry does."""

from __future__ import annotations

from attrs import define

from pkgd.errors.base import PkgdError

__all__ = [
    "AddressRefused",
    "LoopDetected",
    "UnexpectedStatus",
    "Upstream",
    "UpstreamBusy",
    "UpstreamCorrupt",
    "UpstreamRefused",
    "UpstreamTimeout",
    "UpstreamUnavailable",
]


@define(auto_exc=True, eq=False)
class Upstream(PkgdError):
    """The upstream did not deliver; nothing of it was kept."""

    host: str
    reason: str

    @property
    def message(self) -> str:
        """One sentence for the user; never anything that the upstream wrote, nor an address."""
        return f"the upstream {self.host} {self.reason}"


class UpstreamUnavailable(Upstream):
    """It cannot be reached, or answers with a server error."""


class UpstreamTimeout(UpstreamUnavailable):
    """It is too slow."""


class UpstreamCorrupt(Upstream):
    """What it sends is not what it should be: another digest, length, encoding or type."""


class UnexpectedStatus(UpstreamCorrupt):
    """It answers with a status that says neither that the thing is there nor that it isn't (400, 405)."""


@define(auto_exc=True, eq=False)
class UpstreamRefused(Upstream):
    """It does not let us have it (401, 403).

    `definite` says that this is its own word on what was asked for, and not that we could not even ask, for
    want of a token service that can be trusted, or of the right credentials.
    """

    definite: bool = True


class AddressRefused(UpstreamUnavailable):
    """Its name stands for an address that may not be connected to."""


@define(auto_exc=True, eq=False)
class UpstreamBusy(Upstream):
    """It asks to be left alone for a while (429); `retry_after` is in seconds."""

    retry_after: float


@define(auto_exc=True, eq=False)
class LoopDetected(PkgdError):
    """The request has come through this mirror before, or through too many (RFC 9110, 7.6.3)."""

    via: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "the mirrors are chained in a loop, or too many of them"
