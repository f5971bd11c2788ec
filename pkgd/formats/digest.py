"""Content digests (OCI image-spec, descriptor.md, "Digests").

sha256 and sha512 only; the algorithm is always stated, never inferred from the length.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING

from attrs import frozen

from pkgd.errors import InvalidDigest

if TYPE_CHECKING:
    from hashlib import _Hash

__all__ = ["ALGORITHMS", "Digest", "hasher"]

ALGORITHMS = ("sha256", "sha512")

_DIGEST = re.compile(r"(?:sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})")


@frozen(order=True)
class Digest:
    """An algorithm and the lower-case hex that it gave."""

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `algorithm:hex`.

        :raises InvalidDigest: for any other shape, length, case or algorithm.
        """
        if not _DIGEST.fullmatch(text):
            raise InvalidDigest(text, "expected sha256: with 64 or sha512: with 128 lower-case hex digits")
        algorithm, _, encoded = text.partition(":")
        return cls(algorithm, encoded)

    @classmethod
    def of(cls, data: bytes, algorithm: str = "sha256") -> Digest:
        """Compute the digest of bytes."""
        return cls(algorithm, hashlib.new(algorithm, data).hexdigest())

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


def hasher(algorithm: str) -> _Hash:
    """A fresh hash object of one of `ALGORITHMS`.

    :raises InvalidDigest: for any other name.
    """
    if algorithm not in ALGORITHMS:
        raise InvalidDigest(algorithm, f"supported algorithms are {' and '.join(ALGORITHMS)}")
    return hashlib.new(algorithm)
