"""A small disk to spoil: ext4 in a file, on a loop device; where there is none, memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["Disk", "mounted"]

_SIZE = 128 << 20


class Disk:
    """A disk that is mounted at `path`."""

    def __init__(self, path: Path, device: str | None) -> None:
        """
        :param device: the loop device; None for a disk in memory.
        """
        self.path = path
        self._device = device
        self._filler = path / "filler"

    @property
    def free(self) -> int:
        """How many bytes are free."""
        found = os.statvfs(self.path)
        return found.f_bavail * found.f_frsize

    def fill(self) -> None:
        """Leave nothing, not for the user root either."""
        with self._filler.open("ab", buffering=0) as file:
            written = -1
            # What ext4 holds back for blocks that it has not placed yet is free again once it has.
            while written != file.tell():
                written = file.tell()
                for piece in (1 << 20, 4096, 1):
                    with suppress(OSError):
                        while file.write(bytes(piece)):
                            pass
                with suppress(OSError):
                    os.fsync(file.fileno())

    def clear(self) -> None:
        """Give back what `fill` has taken."""
        self._filler.unlink()

    def break_writes(self) -> bool:
        """Have the kernel find an error, and so write nothing until the next mount. False if it cannot be had."""
        if self._device is None:
            return False
        Path(f"/sys/fs/ext4/{self._device}/trigger_fs_error").write_text("1")
        return True


@contextmanager
def mounted(directory: Path) -> Iterator[Disk]:
    """A disk for the length of a `with` block. Needs root."""
    path, image = directory / "disk", directory / "image"
    path.mkdir()
    device = _ext4(image, path)
    if device is None:
        print("no loop device can be had: a disk in memory is filled instead of ext4")
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}", "tmpfs", str(path)], check=True)
    try:
        yield Disk(path, device)
    finally:
        subprocess.run(["umount", str(path)], check=True)


def _ext4(image: Path, path: Path) -> str | None:
    """Mount a new file system; the device's name, or None if that can't be done."""
    with image.open("wb") as file:
        file.truncate(_SIZE)
    make = ["mkfs.ext4", "-q", "-F", "-m", "0", "-e", "remount-ro", "-N", "4096", str(image)]
    for command in (make, ["mount", "-o", "loop", str(image), str(path)]):
        try:
            subprocess.run(command, check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            return None
    found = subprocess.run(["findmnt", "-no", "SOURCE", str(path)], check=True, capture_output=True, text=True)
    return found.stdout.strip().removeprefix("/dev/")
