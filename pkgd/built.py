"""What was built: the version, and what the build that made this pkgd has stamped into it.

A build writes `_build.json` beside this module, in its own directory and never in a work tree:
`{"release": 7, "commit": "<40 hex>", "modified": false}`. Where pkgd runs from a checkout or was installed
from one, there is no stamp, and it is nobody's release.
"""

from __future__ import annotations

import pkgutil
import platform
from collections.abc import Callable

import msgspec
from attrs import asdict, field, frozen

from pkgd import __version__
from twisted import __version__ as twisted_version

__all__ = ["Build", "built"]

_STAMP = "_build.json"


@frozen
class Build:
    """What runs."""

    release: int | None = None
    commit: str | None = None
    modified: bool = False
    python: str = field(factory=platform.python_version)
    twisted: str = twisted_version

    @property
    def version(self) -> str:
        """The version as images, packages and the executable carry it: `0.1.0.7` is release 7 of 0.1.0."""
        return __version__ if self.release is None else f"{__version__}.{self.release}"

    def describe(self) -> dict[str, object]:
        """All of it, for machines."""
        return {"version": self.version, **asdict(self)}


class _Stamp(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    release: int | None
    commit: str | None
    modified: bool


def built(read: Callable[[str, str], bytes | None] = pkgutil.get_data) -> Build:
    """What this pkgd was built from.

    :param read: how a file of a package is read; it must not be the file system, where pkgd is one file.
    """
    try:
        text = read("pkgd", _STAMP)
    except FileNotFoundError:
        text = None
    if text is None:
        return Build()
    stamp = msgspec.json.decode(text, type=_Stamp)
    return Build(stamp.release, stamp.commit, stamp.modified)
