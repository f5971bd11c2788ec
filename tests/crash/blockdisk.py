"""A disk whose every write and flush can be seen: one file, `disk`, in a FUSE file system of our own.

`mount -o loop` puts a real ext4 on that file; what the kernel then asks of the file is what it would ask of a disk.
The FUSE protocol is spoken directly on /dev/fuse, as far as a loop device needs it (linux/fuse.h is the reference).
The disk lives in the memory of a process of its own, forked when it is attached: so a copy of a disk costs nothing,
and what is written to the copy is forgotten with it.
"""

from __future__ import annotations

import ctypes
import errno
import multiprocessing
import os
import stat
import struct
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from pathlib import Path

from tests.crash.blocklog import Flush, LogWriter, Write

_FORK = multiprocessing.get_context("fork")
_NAME = b"disk"
_DIRECTORY_NODE, _DISK_NODE = 1, 2
_MAJOR, _MINOR = 7, 31
_LARGEST_WRITE = 128 * 1024
_REQUEST_BUFFER = _LARGEST_WRITE + 64 * 1024
_BIG_WRITES = 1 << 5
_CACHE_SECONDS = 3600

_IN_HEAD = struct.Struct("<IIQQIIII")
_OUT_HEAD = struct.Struct("<IiQ")
_ATTRIBUTES = struct.Struct("<QQQQQQIIIIIIIIII")


class _Call(IntEnum):
    """The requests that a loop device over a single file leads to."""

    LOOKUP = 1
    FORGET = 2
    GETATTR = 3
    SETATTR = 4
    OPEN = 14
    READ = 15
    WRITE = 16
    STATFS = 17
    RELEASE = 18
    FSYNC = 20
    FLUSH = 25
    INIT = 26
    OPENDIR = 27
    RELEASEDIR = 29
    FSYNCDIR = 30
    ACCESS = 34
    INTERRUPT = 36
    DESTROY = 38
    BATCH_FORGET = 42


_UNANSWERED = frozenset({_Call.FORGET, _Call.INTERRUPT, _Call.BATCH_FORGET})
_ACCEPTED = frozenset({_Call.RELEASE, _Call.FLUSH, _Call.RELEASEDIR, _Call.FSYNCDIR, _Call.ACCESS, _Call.DESTROY})


class Disk:
    """Bytes in memory."""

    def __init__(self, image: bytearray) -> None:
        self.image = image

    def power_on(self) -> None:
        """Called before the first request, in the process that serves the disk."""

    def write(self, offset: int, data: bytes) -> None:
        """Take a write."""
        self.image[offset : offset + len(data)] = data

    def flush(self) -> None:
        """Take a flush."""


class RecordedDisk(Disk):
    """A disk that logs what it is told; the process that attached it can ask for the `position` it has come to."""

    def __init__(self, image: bytearray, log: Path) -> None:
        super().__init__(image)
        self._log = LogWriter(log)
        self._position = _FORK.RawValue(ctypes.c_uint64, 0)

    def position(self) -> int:
        """How many records there are."""
        return int(self._position.value)

    def write(self, offset: int, data: bytes) -> None:
        """Take and log a write."""
        super().write(offset, data)
        self._log.append(Write(offset, data))
        self._position.value += 1

    def flush(self) -> None:
        """Log a flush."""
        self._log.append(Flush())
        self._position.value += 1


@contextmanager
def attached(disk: Disk, directory: Path, options: str = "") -> Iterator[Path]:
    """Serve the disk, mount the ext4 on it, and give its directory; unmount both at the end.

    :raises subprocess.CalledProcessError: if the file system can't be mounted.
    """
    outer, inner = directory / "fuse", directory / "ext4"
    for path in (outer, inner):
        path.mkdir(parents=True, exist_ok=True)
    process = _FORK.Process(target=_serve, args=(disk, outer))
    process.start()
    try:
        _await_file(outer / _NAME.decode())
        command = ["mount", "-t", "ext4", "-o", ",".join(filter(None, ["loop", options]))]
        subprocess.run([*command, str(outer / _NAME.decode()), str(inner)], check=True, capture_output=True)
        try:
            yield inner
        finally:
            _unmount(inner)
    finally:
        _unmount(outer)
        process.join(10)
        if process.is_alive():
            process.kill()


def _await_file(path: Path) -> None:
    deadline = time.monotonic() + 10
    while not path.exists():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} does not appear: is /dev/fuse usable, and is this root?")
        time.sleep(0.002)


def _unmount(path: Path) -> None:
    """Unmount, for a moment patiently: a process that has just ended may still hold the file system."""
    for _ in range(50):
        if subprocess.run(["umount", str(path)], check=False, capture_output=True).returncode == 0:
            return
        time.sleep(0.1)
    subprocess.run(["umount", "-l", str(path)], check=False)


def _serve(disk: Disk, directory: Path) -> None:
    """Mount the FUSE file system and answer until it is unmounted. Runs in the process of the disk."""
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other".encode()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(b"blockdisk", bytes(directory), b"fuse.blockdisk", 0, options) != 0:
        raise OSError(ctypes.get_errno(), "mount of the FUSE file system")
    disk.power_on()
    _Conversation(device, disk).run()


class _Conversation:
    """The kernel's requests and our answers."""

    def __init__(self, device: int, disk: Disk) -> None:
        self._device = device
        self._disk = disk

    def run(self) -> None:
        """Answer requests until the file system is unmounted."""
        while True:
            try:
                request = os.read(self._device, _REQUEST_BUFFER)
            except OSError as error:
                if error.errno == errno.ENODEV:
                    return
                if error.errno not in (errno.EINTR, errno.EAGAIN, errno.ENOENT):
                    raise
                continue
            _, call, unique, node, *_ = _IN_HEAD.unpack_from(request)
            if call not in _UNANSWERED:
                self._reply(unique, *self._answer(call, node, request[_IN_HEAD.size :]))

    def _reply(self, unique: int, error: int, data: bytes) -> None:
        try:
            os.write(self._device, _OUT_HEAD.pack(_OUT_HEAD.size + len(data), -error, unique) + data)
        except OSError as failure:
            if failure.errno != errno.ENOENT:  # the request has been interrupted
                raise

    def _answer(self, call: int, node: int, body: bytes) -> tuple[int, bytes]:
        """The error number, 0 for none, and the data of the answer."""
        match call:
            case _Call.WRITE:
                return 0, self._write(body)
            case _Call.READ:
                _, offset, size = struct.unpack_from("<QQI", body)
                return 0, bytes(self._disk.image[offset : offset + size])
            case _Call.FSYNC:
                self._disk.flush()
                return 0, b""
            case _Call.INIT:
                return 0, _init(body)
            case _Call.LOOKUP if body.rstrip(b"\0") == _NAME:
                seconds = (_CACHE_SECONDS, _CACHE_SECONDS, 0, 0)
                return 0, struct.pack("<QQQQII", _DISK_NODE, 1, *seconds) + self._attributes(_DISK_NODE)
            case _Call.LOOKUP:
                return errno.ENOENT, b""
            case _Call.GETATTR | _Call.SETATTR:
                return 0, struct.pack("<QII", _CACHE_SECONDS, 0, 0) + self._attributes(node)
            case _Call.OPEN | _Call.OPENDIR:
                return 0, struct.pack("<QII", 1, 0, 0)
            case _Call.STATFS:
                return 0, struct.pack("<QQQQQIIII6I", 0, 0, 0, 2, 0, 4096, 255, 4096, 0, *[0] * 6)
        return (0 if call in _ACCEPTED else errno.ENOSYS), b""

    def _write(self, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        self._disk.write(offset, body[40 : 40 + size])
        return struct.pack("<II", size, 0)

    def _attributes(self, node: int) -> bytes:
        is_disk = node == _DISK_NODE
        size = len(self._disk.image) if is_disk else 4096
        mode = stat.S_IFREG | 0o600 if is_disk else stat.S_IFDIR | 0o700
        links = 1 if is_disk else 2
        return _ATTRIBUTES.pack(node, size, (size + 511) // 512, 0, 0, 0, 0, 0, 0, mode, links, 0, 0, 0, 4096, 0)


def _init(body: bytes) -> bytes:
    """Agree on protocol 7.31, large writes, and no write-back cache: each write is passed on when it is made."""
    _, _, read_ahead, flags = struct.unpack_from("<IIII", body)
    limits = struct.pack("<HHIIHH", 12, 9, _LARGEST_WRITE, 1, 0, 0)
    return struct.pack("<IIII", _MAJOR, _MINOR, read_ahead, flags & _BIG_WRITES) + limits + bytes(32)
