"""What all errors are."""

from __future__ import annotations

from attrs import define

__all__ = ["PkgdError"]


@define(auto_exc=True, eq=False)
class PkgdError(Exception):
    """Anything pkgd expects to go wrong; whatever is not one of these is a bug."""

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return (self.__doc__ or "").splitlines()[0]
