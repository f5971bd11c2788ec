"""The frozen executable's entry: what the loader has changed is put right, then it is `python -m pkgd`.

Nothing of pkgd or Twisted may be imported before `_restore_environment` has run: Twisted reads the variables of socket
activation when its endpoints are imported.
"""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType
from typing import Any

# The plug-ins of Twisted that pkgd can use: the kinds of endpoints (`systemd:`, `tls:`, `tcp6:` …) are in there.
_PLUGINS = ("twisted.plugins.twisted_core",)

# What the loader tells itself by; a child that is pkgd again starts on its own.
_LOADERS_OWN = (
    "_PYI_ARCHIVE_FILE",
    "_PYI_APPLICATION_HOME_DIR",
    "_PYI_PARENT_PROCESS_LEVEL",
    "_PYI_LINUX_PROCESS_NAME",
)


def _restore_environment() -> None:
    """Let children see what the user has set: programs such as gpg must not load the libraries that are in here.

    The process itself has its libraries already, or finds them by what the linker read when it started.
    """
    before = os.environ.pop("LD_LIBRARY_PATH_ORIG", None)
    os.environ.pop("LD_LIBRARY_PATH", None)
    if before is not None:
        os.environ["LD_LIBRARY_PATH"] = before
    for name in _LOADERS_OWN:
        os.environ.pop(name, None)
    # The executable of one file has two processes, and whoever started the first means the daemon.
    for name in ("LISTEN_PID", "WATCHDOG_PID"):
        if os.environ.get(name) == str(os.getppid()):
            os.environ[name] = str(os.getpid())


def _name_plugins() -> None:
    """Twisted looks for plug-ins in folders, and here are none: it is given those that count, by name."""
    import twisted.plugin as finder

    import twisted.plugins

    generate: Any = finder._generateCacheEntry
    cache = {name: generate(importlib.import_module(name)) for name in _PLUGINS}
    search = finder.getCache

    def get_cache(package: ModuleType) -> Any:
        return cache if package is twisted.plugins else search(package)

    finder.getCache = get_cache


def _main() -> int:
    _restore_environment()
    _name_plugins()
    from pkgd.__main__ import main

    return main()


if __name__ == "__main__":
    sys.exit(_main())
