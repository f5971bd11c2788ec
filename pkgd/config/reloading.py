"""A configuration that takes the place of another while the daemon runs: where it is read, and what cannot change."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from attrs import frozen
from msgspec.structs import replace

from pkgd.config.document import CONFIG_VARIABLE
from pkgd.config.schema import Config
from pkgd.config.values import check

__all__ = ["ConfigFile", "keep_fixed"]

Stamp = tuple[int, int, int] | None


class ConfigFile:
    """The file that the daemon was started with, and how it looked when it was last read. All of this blocks."""

    def __init__(
        self, path: str | None, environment: Mapping[str, str], load: Callable[[str | None, Mapping[str, str]], Config]
    ) -> None:
        """
        :param path: as for `pkgd.config.load`, which `load` is.
        """
        self._environment = environment
        self._load = load
        # Relative to where the daemon was started, whatever becomes of the working directory.
        found = path or environment.get(CONFIG_VARIABLE)
        self._path = None if found is None else os.path.abspath(found)
        self._seen: Stamp = None

    def read(self) -> Config:
        """Read it.

        :raises ConfigError: if it cannot be used.
        """
        # First: what changes while it is read is noticed the next time.
        self._seen = self._stamp()
        return self._load(self._path, self._environment)

    def has_changed(self) -> bool:
        """Whether it is another file than the one that was read last, be that by a symbolic link that was turned."""
        stamp = self._stamp()
        return stamp is not None and stamp != self._seen

    def _stamp(self) -> Stamp:
        if self._path is None:
            return None
        try:
            found = os.stat(self._path)
        except OSError:
            return None  # between two turns of a link, say
        return found.st_mtime_ns, found.st_ino, found.st_size


@frozen
class Kept:
    """A new configuration with what stays as it was, and the names of the keys that would have changed."""

    config: Config
    names: tuple[str, ...]


def keep_fixed(old: Config, new: Config) -> Kept:
    """The new configuration, as far as a running daemon can follow it.

    :raises ConfigError: if the two do not go together: what stays open to others must not lose its `auth`.
    """
    names = []
    server, files = new.server, new.storage.filesystem
    if server.listen != old.server.listen:
        names.append("server.listen")
        server = replace(server, listen=old.server.listen)
    if (server.tls.certificate is None) != (old.server.tls.certificate is None):
        names.append("server.tls")
        server = replace(server, tls=old.server.tls)
    if new.state_dir != old.state_dir:
        names.append("state_dir")
    for key in ("level", "format"):
        if getattr(new.logging, key) != getattr(old.logging, key):
            names.append(f"logging.{key}")
    if new.logging.access.format != old.logging.access.format:
        names.append("logging.access.format")
    for key in ("access", "audit"):
        if getattr(new.logging, key).file != getattr(old.logging, key).file:
            names.append(f"logging.{key}.file")
    before = old.storage.filesystem
    names += [f"storage.filesystem.{key}" for key in ("root", "fsync") if getattr(files, key) != getattr(before, key)]
    files = replace(files, root=before.root, fsync=before.fsync)
    storage = replace(new.storage, filesystem=files)
    config = replace(new, state_dir=old.state_dir, server=server, storage=storage, logging=old.logging)
    check(config)
    return Kept(config, tuple(names))
