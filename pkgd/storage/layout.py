"""The tree of the object store, drawn once; every key is made here.

    <repo>/blobs/<file>                     a blob
    <repo>/manifests/by-digest/<file>       a manifest, exactly as pushed
    <repo>/manifests/by-digest/<file>.meta  {"mediaType": …}, where the bytes don't say it
    <repo>/manifests/by-tag/<tag>           {"digest": "sha256:<hex>"}
    <repo>/manifests/<tag>.json             a manifest as the original server kept it; read only
    __mirror__/<host>/<repo>/…              the same, of upstream registries; there also:
    <repo>/manifests/referrers/<file>       the referrers of a digest, as the upstream listed them
    <repo>/.private                         its content was fetched with credentials
    <repo>/.fallback                        a pull that named no upstream has been resolved to this one
    __spool__/                              unfinished files, owned by pkgd.storage.spool
    __spool__/quarantine/<key>              a damaged object that the scrub has set aside

`<file>` is `<hex>` for sha256, and `<algorithm>-<hex>` for others.

A tag of an upstream is {"digest": …, "validated": <seconds since the epoch>}: when it was last confirmed.

A part of a repository's name that is `blobs` or `manifests` would run into the tree of the
repository above it (`team/manifests/by-tag` holding "tags" of `team`), so it is stored as
`=blobs`, `=manifests`. No name has a `=`, so the mapping is injective; `__spool__`, `__mirror__` and
`.private` begin with characters that no name part begins with. A tree from before the escape is read as it stands.
"""

from __future__ import annotations

from pkgd.errors import InvalidDigest, InvalidName, InvalidReference
from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, Repository, RepositoryName, Tag

__all__ = [
    "MIRROR",
    "QUARANTINE",
    "SPOOL",
    "blob_key",
    "blobs_prefix",
    "digest_of_file",
    "directories",
    "directory",
    "fallback_key",
    "file_of",
    "legacy_key",
    "legacy_prefix",
    "manifest_key",
    "manifests_prefix",
    "media_type_key",
    "name_of",
    "private_key",
    "quarantine_key",
    "referrers_key",
    "referrers_prefix",
    "repository_of",
    "tag_key",
    "tag_of_legacy",
    "tags_prefix",
]

SPOOL = "__spool__"
MIRROR = "__mirror__"
QUARANTINE = f"{SPOOL}/quarantine"

_RESERVED = frozenset(["blobs", "manifests"])
_ESCAPE = "="
_LEGACY_SUFFIX = ".json"


def directory(name: Repository) -> str:
    """The repository's own prefix."""
    if isinstance(name, Origin):
        return f"{MIRROR}/{name.host}/{directory(name.name)}"
    return "/".join(_ESCAPE + part if part in _RESERVED else part for part in name.split("/"))


def directories(name: Repository) -> tuple[str, ...]:
    """Where the repository's content may stand: its prefix, then the unescaped one if it differs."""
    escaped = directory(name)
    plain = f"{MIRROR}/{name}" if isinstance(name, Origin) else str(name)
    return (escaped,) if escaped == plain else (escaped, plain)


def name_of(prefix: str) -> RepositoryName | None:
    """The repository whose `directory` this is, or None if it is none's."""
    parts = prefix.split("/")
    if any(part in _RESERVED for part in parts):
        return None
    plain = [part[1:] if part.startswith(_ESCAPE) and part[1:] in _RESERVED else part for part in parts]
    try:
        return RepositoryName.parse("/".join(plain))
    except InvalidName:
        return None


def repository_of(prefix: str) -> Repository | None:
    """The repository, hosted or of an upstream, whose `directory` this is, or None if it is none's."""
    start, _, rest = prefix.partition("/")
    if start != MIRROR:
        return name_of(prefix)
    host, _, below = rest.partition("/")
    name = name_of(below)
    return None if name is None else Origin(host, name)


def file_of(digest: Digest) -> str:
    """The file name of a blob or manifest."""
    return digest.encoded if digest.algorithm == "sha256" else f"{digest.algorithm}-{digest.encoded}"


def digest_of_file(name: str) -> Digest | None:
    """The digest that a blob's or manifest's file name stands for, or None."""
    algorithm, dash, encoded = name.partition("-")
    try:
        digest = Digest.parse(f"{algorithm}:{encoded}" if dash else f"sha256:{name}")
    except InvalidDigest:
        return None
    return digest if file_of(digest) == name else None


def blobs_prefix(directory: str) -> str:
    """What holds a repository's blobs."""
    return f"{directory}/blobs"


def blob_key(directory: str, digest: Digest) -> str:
    """A blob."""
    return f"{directory}/blobs/{file_of(digest)}"


def manifests_prefix(directory: str) -> str:
    """What holds a repository's manifests by digest."""
    return f"{directory}/manifests/by-digest"


def manifest_key(directory: str, digest: Digest) -> str:
    """A manifest."""
    return f"{directory}/manifests/by-digest/{file_of(digest)}"


def media_type_key(directory: str, digest: Digest) -> str:
    """The media type of a manifest that doesn't say it itself."""
    return f"{manifest_key(directory, digest)}.meta"


def tags_prefix(directory: str) -> str:
    """What holds a repository's tags."""
    return f"{directory}/manifests/by-tag"


def tag_key(directory: str, tag: Tag) -> str:
    """A tag."""
    return f"{directory}/manifests/by-tag/{tag}"


def legacy_prefix(directory: str) -> str:
    """What holds a repository's legacy manifests, beside the two directories above."""
    return f"{directory}/manifests"


def legacy_key(directory: str, tag: Tag) -> str:
    """A tag's manifest as the original server kept it."""
    return f"{directory}/manifests/{tag}{_LEGACY_SUFFIX}"


def tag_of_legacy(name: str) -> Tag | None:
    """The tag of a legacy file's name, or None."""
    if not name.endswith(_LEGACY_SUFFIX):
        return None
    try:
        return Tag.parse(name.removesuffix(_LEGACY_SUFFIX))
    except InvalidReference:
        return None


def referrers_prefix(directory: str) -> str:
    """What holds the lists of referrers of an upstream's repository."""
    return f"{directory}/manifests/referrers"


def referrers_key(directory: str, digest: Digest) -> str:
    """What an upstream lists as the referrers of a digest."""
    return f"{directory}/manifests/referrers/{file_of(digest)}"


def private_key(directory: str) -> str:
    """The mark of an upstream's repository whose content was fetched with credentials."""
    return f"{directory}/.private"


def fallback_key(directory: str) -> str:
    """The mark of an upstream's repository that pulls without an upstream's name have been resolved to."""
    return f"{directory}/.fallback"


def quarantine_key(key: str) -> str:
    """Where an object is set aside that is damaged."""
    return f"{QUARANTINE}/{key}"
