"""The lock on a state directory: one process at a time owns what is in it; and the mark of a half-restored one."""

from __future__ import annotations

import fcntl
import os

from pkgd.errors import AlreadyRunning, ConfigError

__all__ = ["RESTORING", "lock_state"]

# A file in a state directory that is being restored, or whose restore was interrupted.
RESTORING = "restoring"


def lock_state(state_dir: str, is_restoring: bool = False) -> int:
    """Lock a state directory until the descriptor that is returned is closed, or the process ends.

    :raises AlreadyRunning: if another process has locked it.
    :raises ConfigError: if only half of a backup has been restored into it, unless it is to be completed.
    :raises OSError: if the lock's file cannot be made.
    """
    path = os.path.join(state_dir, "pkgd.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(path) from None
    if not is_restoring and os.path.exists(os.path.join(state_dir, RESTORING)):
        os.close(descriptor)
        raise ConfigError("state_dir", f"a restore into {state_dir} was interrupted: run the same pkgd restore again")
    return descriptor
