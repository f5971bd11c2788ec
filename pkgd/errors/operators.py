"""What stops a start or a command: operators are told, and no client."""

from __future__ import annotations

from attrs import define, field

from pkgd.errors.base import PkgdError

__all__ = ["AlreadyRunning", "CommandFailed", "ConfigError", "NoRoomToStart"]


@define(auto_exc=True, eq=False)
class ConfigError(PkgdError):
    """The configuration cannot be used."""

    path: str
    reason: str
    suggestion: str = field(default="")

    @property
    def message(self) -> str:
        """One sentence for the operator."""
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.reason}{f' – did you mean {self.suggestion}?' if self.suggestion else ''}"


@define(auto_exc=True, eq=False)
class AlreadyRunning(PkgdError):
    """Another daemon uses the same state directory."""

    lock: str

    @property
    def message(self) -> str:
        """One sentence for the operator."""
        return f"another pkgd holds {self.lock}: two daemons on one state directory would damage it"


@define(auto_exc=True, eq=False)
class CommandFailed(PkgdError):
    """A command of the administrator's could not be carried out; `reason` is for him."""

    reason: str

    @property
    def message(self) -> str:
        """One sentence for the operator."""
        return self.reason


@define(auto_exc=True, eq=False)
class NoRoomToStart(PkgdError):
    """There is no space for what SQLite writes to open one of its files."""

    file: str

    @property
    def message(self) -> str:
        """One sentence for the operator."""
        return (
            f"{self.file}: there is no space left, not even the little that a start needs;"
            " nothing is damaged: free 1 MiB on that file system, and start again"
        )
