"""Size and hashes of a file, as package indices list them."""

from __future__ import annotations

from attrs import frozen

__all__ = ["FileHashes"]


@frozen
class FileHashes:
    """What one pass over a file gave; every hash in lower-case hex."""

    size: int
    md5: str
    sha1: str
    sha256: str
    sha512: str
