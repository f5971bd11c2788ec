"""Takes files out of the page cache and says how much of them is still in it."""

import ctypes
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

_LIBC = ctypes.CDLL(None, use_errno=True)
_LIBC.mmap.restype = ctypes.c_void_p
_LIBC.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long]
_LIBC.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
_LIBC.mincore.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p]


def drop(paths: Sequence[Path]) -> float:
    """Drop files from the page cache; return the share of their pages that stayed."""
    sizes = [_drop_one(path) for path in paths]
    resident = sum(_resident_bytes(path, size) for path, size in zip(paths, sizes, strict=True))
    return resident / sum(sizes)


def _drop_one(path: Path) -> int:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return os.fstat(file.fileno()).st_size


def _resident_bytes(path: Path, size: int) -> int:
    pages = ctypes.create_string_buffer(-(-size // mmap.PAGESIZE))
    with path.open("rb") as file:
        address = _LIBC.mmap(None, size, mmap.PROT_READ, mmap.MAP_SHARED, file.fileno(), 0)
    if address == ctypes.c_void_p(-1).value or _LIBC.mincore(address, size, pages):
        raise OSError(ctypes.get_errno(), f"mincore of {path}")
    _LIBC.munmap(address, size)
    return sum(page & 1 for page in pages.raw) * mmap.PAGESIZE
