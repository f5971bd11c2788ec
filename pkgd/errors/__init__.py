"""What can go wrong, as data: the one taxonomy that every room raises from.

    invalid      what is not well-formed: of a request, or of what comes with it
    unknown      what is not here
    refused      what may not be done, or not by who asks
    conflicts    what does not fit what is here, or is too large for it
    machine      what the machine refuses
    upstream     what an upstream registry does
    connection   what ends a request without the answer that was asked for
    operators    what stops a start or a command: no client is told

A class says what happened; its fields are the facts; `message` is one sentence for the user.
No status codes here: `pkgd.web.errors` owns the table from these classes to HTTP answers, and a
test walks all of them and demands a row for each.
"""

from pkgd.errors.base import PkgdError
from pkgd.errors.conflicts import (
    AlreadyExists,
    Conflict,
    DigestMismatch,
    OffsetMismatch,
    SessionBusy,
    TooLarge,
    TooManyTags,
    UnsatisfiableRange,
)
from pkgd.errors.connection import ClientGone, MalformedHttp, SlowClient
from pkgd.errors.invalid import (
    Invalid,
    InvalidDigest,
    InvalidHost,
    InvalidKey,
    InvalidManifest,
    InvalidName,
    InvalidPackage,
    InvalidReference,
    InvalidRequest,
    InvalidSize,
    InvalidUpload,
)
from pkgd.errors.machine import BusyStorage, FailedStorage, NoSpace, NotReady, ReadOnlyStorage, SigningError, Storage
from pkgd.errors.operators import AlreadyRunning, CommandFailed, ConfigError, NoRoomToStart
from pkgd.errors.refused import (
    AuthUnavailable,
    Concealed,
    Denied,
    ImmutableTag,
    Refused,
    Throttled,
    TokenRefused,
    Unauthenticated,
    Unsupported,
)
from pkgd.errors.unknown import (
    MissingBlob,
    Unknown,
    UnknownBlob,
    UnknownKey,
    UnknownManifest,
    UnknownName,
    UnknownPackage,
    UnknownRefreshToken,
    UnknownRepository,
    UnknownRoute,
    UnknownUpload,
    UnknownUser,
)
from pkgd.errors.upstream import (
    AddressRefused,
    LoopDetected,
    UnexpectedStatus,
    Upstream,
    UpstreamBusy,
    UpstreamCorrupt,
    UpstreamRefused,
    UpstreamTimeout,
    UpstreamUnavailable,
)

__all__ = [
    "AddressRefused",
    "AlreadyExists",
    "AlreadyRunning",
    "AuthUnavailable",
    "BusyStorage",
    "ClientGone",
    "CommandFailed",
    "Concealed",
    "ConfigError",
    "Conflict",
    "Denied",
    "DigestMismatch",
    "FailedStorage",
    "ImmutableTag",
    "Invalid",
    "InvalidDigest",
    "InvalidHost",
    "InvalidKey",
    "InvalidManifest",
    "InvalidName",
    "InvalidPackage",
    "InvalidReference",
    "InvalidRequest",
    "InvalidSize",
    "InvalidUpload",
    "LoopDetected",
    "MalformedHttp",
    "MissingBlob",
    "NoRoomToStart",
    "NoSpace",
    "NotReady",
    "OffsetMismatch",
    "PkgdError",
    "ReadOnlyStorage",
    "Refused",
    "SessionBusy",
    "SigningError",
    "SlowClient",
    "Storage",
    "Throttled",
    "TokenRefused",
    "TooLarge",
    "TooManyTags",
    "Unauthenticated",
    "UnexpectedStatus",
    "Unknown",
    "UnknownBlob",
    "UnknownKey",
    "UnknownManifest",
    "UnknownName",
    "UnknownPackage",
    "UnknownRefreshToken",
    "UnknownRepository",
    "UnknownRoute",
    "UnknownUpload",
    "UnknownUser",
    "UnsatisfiableRange",
    "Unsupported",
    "Upstream",
    "UpstreamBusy",
    "UpstreamCorrupt",
    "UpstreamRefused",
    "UpstreamTimeout",
    "UpstreamUnavailable",
]
