"""What can go wrong, as data: the one taxonomy that every room raises from.

A class says what happened; its fields are the facts; `message` is one sentence for the user.
No status codes here: `pkgd.web.errors` owns the table from these classes to HTTP answers, and a
test walks this module and demands a row for each.
"""

from __future__ import annotations

from attrs import define, field

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
    "UnknownRepository",
    "UnknownRoute",
    "UnknownUpload",
    "UnsatisfiableRange",
    "Unsupported",
    "Upstream",
    "UpstreamBusy",
    "UpstreamCorrupt",
    "UpstreamRefused",
    "UpstreamTimeout",
    "UpstreamUnavailable",
]


@define(auto_exc=True, eq=False)
class PkgdError(Exception):
    """Anything pkgd expects to go wrong; whatever is not one of these is a bug."""

    def __str__(self) -> str:
        return self.message

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return (self.__doc__ or "").splitlines()[0]


# -- what the client sent is not well-formed ---------------------------------------------------


@define(auto_exc=True, eq=False)
class Invalid(PkgdError):
    """The request is not well-formed."""

    value: str = ""
    reason: str = ""

    @property
    def message(self) -> str:
        """One sentence for the user."""
        shown = self.value if len(self.value) <= 200 else self.value[:200] + "…"
        what = (self.__doc__ or "").splitlines()[0].rstrip(".")
        return f"{what}{f' {shown!r}' if shown else ''}{f': {self.reason}' if self.reason else ''}"


class InvalidName(Invalid):
    """invalid repository name"""


class InvalidHost(Invalid):
    """not the host of a registry that may be mirrored"""


class InvalidKey(Invalid):
    """not a usable OpenPGP key"""


class InvalidPackage(Invalid):
    """invalid package"""


class InvalidReference(Invalid):
    """invalid tag or digest"""


class InvalidDigest(Invalid):
    """invalid digest"""


class InvalidManifest(Invalid):
    """invalid manifest"""


class InvalidUpload(Invalid):
    """invalid upload request"""


class InvalidSize(Invalid):
    """the length does not fit the range"""


class InvalidRequest(Invalid):
    """invalid request"""


@define(auto_exc=True, eq=False)
class MalformedHttp(PkgdError):
    """The bytes on the connection are not a request that may be served (RFC 9112, RFC 9110).

    The parser suggests a `status`, as h11 does: only it knows whether a head was too long, a
    target too long or a header illegal. The connection is closed after the answer.
    """

    status: int
    reason: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return self.reason


# -- what the client asked for is not here -----------------------------------------------------


@define(auto_exc=True, eq=False)
class Unknown(PkgdError):
    """It is not here."""

    what: str = ""

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"{(self.__doc__ or '').splitlines()[0]}: {self.what}"


class UnknownName(Unknown):
    """repository not known to the registry"""


class UnknownBlob(Unknown):
    """blob not known to the repository"""


class UnknownManifest(Unknown):
    """manifest not known to the repository"""


class MissingBlob(Unknown):
    """the manifest names a blob that the repository does not have"""


class UnknownUpload(Unknown):
    """upload session not known to the repository"""


class UnknownRepository(Unknown):
    """no such repository, suite or component"""


class UnknownPackage(Unknown):
    """no such package or file in the repository"""


class UnknownKey(Unknown):
    """no such API key"""


class UnknownRefreshToken(Unknown):
    """no such refresh token"""


class UnknownUser(Unknown):
    """no such disabled user"""


class UnknownRoute(Unknown):
    """no such endpoint"""


# -- what may not be done ----------------------------------------------------------------------


class Refused(PkgdError):
    """The request is understood and not allowed."""


@define(auto_exc=True, eq=False)
class Denied(Refused):
    """The policy does not allow it."""

    what: str = ""

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"access denied: {self.what}"


@define(auto_exc=True, eq=False)
class Concealed(Refused):
    """repository not known to the registry

    Or known, and not to be read by who asks: the two look alike. It is no `Unknown`, for nobody has looked.
    """

    name: str

    @property
    def message(self) -> str:
        """One sentence for the user: the same as if the repository were not there."""
        return f"repository not known to the registry: {self.name}"


@define(auto_exc=True, eq=False)
class ImmutableTag(Refused):
    """The tag was set for good: it stays where it is, whoever asks (`repositories.oci.immutable_tags`)."""

    repository: str
    tag: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"the tag {self.tag} of {self.repository} is immutable: it stays, and so does what it leads to"


@define(auto_exc=True, eq=False)
class Unauthenticated(Refused):
    """Credentials are needed, or those that were given are wrong.

    `reason` is for the user, and never tells whether there is such a user. `challenge` is the value of
    WWW-Authenticate (RFC 9110, 11.6.1), which the gate adds.
    """

    reason: str = "credentials are needed"
    challenge: str = ""

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"authentication required: {self.reason}"


@define(auto_exc=True, eq=False)
class TokenRefused(Refused):
    """A token that somebody else has made is not believed; `reason` is for the log, and has nothing of the token."""

    reason: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "the token is not valid"


@define(auto_exc=True, eq=False)
class Throttled(Refused):
    """Too many wrong credentials of late; `retry_after` is in seconds."""

    retry_after: float

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "too many failed attempts to log in: wait a little"


@define(auto_exc=True, eq=False)
class AuthUnavailable(PkgdError):
    """Whoever knows whether the credentials are right cannot be asked now: nobody is let in on a guess."""

    reason: str = ""
    retry_after: float = 15.0

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "the credentials cannot be checked at present: try again in a moment"


@define(auto_exc=True, eq=False)
class Unsupported(Refused):
    """The method or operation does not exist here."""

    what: str = ""
    allowed: tuple[str, ...] = ()

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"unsupported: {self.what}"


# -- what does not fit what is here ------------------------------------------------------------


class Conflict(PkgdError):
    """The request does not fit the present state."""


@define(auto_exc=True, eq=False)
class DigestMismatch(Conflict):
    """The bytes do not have the digest that the client gave."""

    expected: str
    actual: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"provided digest {self.expected} does not match the content, which has {self.actual}"


@define(auto_exc=True, eq=False)
class OffsetMismatch(Conflict):
    """A chunk does not begin where the session ends."""

    location: str
    offset: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"the chunk does not begin at byte {self.offset}, where the upload stands"


@define(auto_exc=True, eq=False)
class SessionBusy(Conflict):
    """Another request is writing to this upload session."""

    location: str
    offset: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "another request is writing to this upload session"


@define(auto_exc=True, eq=False)
class AlreadyExists(Conflict):
    """A package of this name, version and architecture is there, with other content."""

    what: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"{self.what} is there already, with other content: it needs another version"


@define(auto_exc=True, eq=False)
class UnsatisfiableRange(Conflict):
    """No byte of the requested range exists (RFC 9110, 15.5.17)."""

    size: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"the requested range is not within the {self.size} bytes of the content"


@define(auto_exc=True, eq=False)
class TooLarge(PkgdError):
    """The content is larger than the limit."""

    limit: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"the content is larger than the limit of {self.limit} bytes"


@define(auto_exc=True, eq=False)
class TooManyTags(PkgdError):
    """More `tag` parameters than one request may carry."""

    limit: int

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"at most {self.limit} tags may be given with one manifest"


# -- what the machine refuses ------------------------------------------------------------------


@define(auto_exc=True, eq=False)
class Storage(PkgdError):
    """The storage did not do what was asked; nothing was acknowledged."""

    operation: str = ""


class NoSpace(Storage):
    """there is not enough free space to store this"""


class ReadOnlyStorage(Storage):
    """the storage does not accept writes at present"""


class BusyStorage(Storage):
    """the server has run out of file descriptors or memory for the moment"""


class FailedStorage(Storage):
    """the storage reported a failure"""


class NotReady(PkgdError):
    """the server is starting or stopping"""


@define(auto_exc=True, eq=False)
class SigningError(PkgdError):
    """Nothing was published, for it cannot be signed."""

    reason: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return f"nothing was published, for it cannot be signed: {self.reason}"


# -- what an upstream registry does --------------------------------------------------------------


@define(auto_exc=True, eq=False)
class Upstream(PkgdError):
    """The upstream did not deliver; nothing of it was kept."""

    host: str
    reason: str

    @property
    def message(self) -> str:
        """One sentence for the user; never anything that the upstream wrote, nor an address."""
        return f"the upstream {self.host} {self.reason}"


class UpstreamUnavailable(Upstream):
    """It cannot be reached, or answers with a server error."""


class UpstreamTimeout(UpstreamUnavailable):
    """It is too slow."""


class UpstreamCorrupt(Upstream):
    """What it sends is not what it should be: another digest, length, encoding or type."""


class UnexpectedStatus(UpstreamCorrupt):
    """It answers with a status that says neither that the thing is there nor that it isn't (400, 405)."""


@define(auto_exc=True, eq=False)
class UpstreamRefused(Upstream):
    """It does not let us have it (401, 403).

    `definite` says that this is its own word on what was asked for, and not that we could not even ask, for
    want of a token service that can be trusted, or of the right credentials.
    """

    definite: bool = True


class AddressRefused(UpstreamUnavailable):
    """Its name stands for an address that may not be connected to."""


@define(auto_exc=True, eq=False)
class UpstreamBusy(Upstream):
    """It asks to be left alone for a while (429); `retry_after` is in seconds."""

    retry_after: float


@define(auto_exc=True, eq=False)
class LoopDetected(PkgdError):
    """The request has come through this mirror before, or through too many (RFC 9110, 7.6.3)."""

    via: str

    @property
    def message(self) -> str:
        """One sentence for the user."""
        return "the mirrors are chained in a loop, or too many of them"


# -- what ends a request without an answer -----------------------------------------------------


class ClientGone(PkgdError):
    """The client closed the connection."""


class SlowClient(PkgdError):
    """the client sent nothing for too long"""


# -- what stops a start ------------------------------------------------------------------------


@define(auto_exc=True, eq=False)
class ConfigError(PkgdError):
    """The configuration cannot be used."""

    path: str
    reason: str
    suggestion: str = field(default="")

    @property
    def message(self) -> str:
        """One sentence for the operator."""
        where = f"{self.path}: " if self.path else ""
        return f"{where}{self.reason}{f' – did you mean {self.suggestion}?' if self.suggestion else ''}"


@define(auto_exc=True, eq=False)
class AlreadyRunning(PkgdError):
    """Another daemon uses the same state directory."""

    lock: str

    @property
    def message(self) -> str:
        """One sentence for the operator."""
        return f"another pkgd holds {self.lock}: two daemons on one state directory would damage it"


@define(auto_exc=True, eq=False)
class CommandFailed(PkgdError):
    """A command of the administrator's could not be carried out; `reason` is for him."""

    reason: str

    @property
    def message(self) -> str:
        """One sentence for the operator."""
        return self.reason
