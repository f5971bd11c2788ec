"""What is sent: a request with a body that is no package, or a package that has been tampered with."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["DEB", "EXTRA", "INCOMING", "RPM", "SOURCE", "Upload"]

DEB = "/apt/tampered/stable/main/tampered_1.0_all.deb"
RPM = "/rpm/tampered/tampered-1.0-1.noarch.rpm"
SOURCE = "/apt/tampered/stable/main/"
INCOMING = "/apt/tampered/incoming/stable/"
EXTRA = "/rpm/tampered/"


@dataclass(frozen=True)
class Upload:
    """One request; what it is called is unique in its category."""

    category: str
    name: str
    path: str
    body: bytes = field(repr=False)
    method: str = "PUT"
