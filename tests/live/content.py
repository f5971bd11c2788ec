"""Comparing content: digests of streams, folders and layers, and the one way to say that something differs."""

from __future__ import annotations

import hashlib
import os
import subprocess
import tarfile
from pathlib import Path
from typing import IO

_PIECE = 1 << 20


class Mismatch(Exception):
    """Content is not what it must be."""


def expect(what: str, actual: object, expected: object) -> None:
    """Raise Mismatch unless both are equal."""
    if actual != expected:
        raise Mismatch(f"{what}\n  is      {actual}\n  must be {expected}")


def hash_stream(stream: IO[bytes]) -> str:
    """The sha256 of all that a stream still has, in hexadecimal."""
    hashed = hashlib.sha256()
    while piece := stream.read(_PIECE):
        hashed.update(piece)
    return hashed.hexdigest()


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hash_stream(file)


def hash_output(*command: str) -> str:
    """The sha256 of what a command prints, in hexadecimal."""
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        digest = hash_stream(process.stdout)
    expect(f"exit status of {' '.join(command)}", process.returncode, 0)
    return digest


def files_below(folder: Path) -> dict[str, str]:
    """Every regular file below a folder: its name → its sha256."""
    paths = (Path(parent) / name for parent, _, names in os.walk(folder) for name in names)
    return {str(path.relative_to(folder)): hash_file(path) for path in paths}


def files_of_tar(stream: IO[bytes]) -> dict[str, str]:
    """Every non-empty regular file of a tar: its name → its sha256."""
    files = {}
    with tarfile.open(fileobj=stream, mode="r|") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isreg() and member.size else None
            if content:
                files[member.name] = hash_stream(content)
    return files


def unpacked_digest(layer: Path) -> str:
    """The digest of a layer's tar, whatever its compression."""
    with layer.open("rb") as file:
        magic = file.read(4)
    if magic == b"\x28\xb5\x2f\xfd":
        return "sha256:" + hash_output("zstd", "-dc", str(layer))
    if magic[:2] == b"\x1f\x8b":
        return "sha256:" + hash_output("gzip", "-dc", str(layer))
    return "sha256:" + hash_file(layer)
