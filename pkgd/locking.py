"""The lock on a state directory: one process at a time owns what is in it."""

from __future__ import annotations

import fcntl
import os

from pkgd.errors import AlreadyRunning

__all__ = ["lock_state"]


def lock_state(state_dir: str) -> int:
    """Lock a state directory until the descriptor that is returned is closed, or the process ends.

    :raises AlreadyRunning: if another process has locked it.
    :raises OSError: if the lock's file cannot be made.
    """
    path = os.path.join(state_dir, "pkgd.lock")
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise AlreadyRunning(path) from None
    return descriptor
