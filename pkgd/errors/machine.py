"""What the machine refuses: nothing was acknowledged."""

from __future__ import annotations

from attrs import define

from pkgd.errors.base import PkgdError

__all__ = ["BusyStorage", "FailedStorage", "NoSpace", "NotReady", "ReadOnlyStorage", "SigningError", "Storage"]


@define(auto_exc=True, eq=False)
class Storage(PkgdError):
    """The storage did not do what was asked; nothing was acknowledged."""

    operation: str = ""


class NoSpace(Storage):
    """there is not enough free space to store this"""


class ReadOnlyStorage(Storage):
    """the storage does not accept writes at present"""


class BusyStorage(Storage):
    """the server has run out of file descriptors or memory for the moment"""


class FailedStorage(Storage):
    """the storage reported a failure"""


class NotReady(PkgdError):
    """the server is starting or stopping"""


@define(auto_exc=True, eq=False)
class SigningError(PkgdError):
    """Nothing was published, for it cannot be signed."""

    reason: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"nothing was published, for it cannot be signed: {self.reason}"
