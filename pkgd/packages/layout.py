"""The tree of package repositories below the state directory, drawn once; every key is made here.

    apt/<repo>/pool/<component>/<prefix>/<source>/<12 hex>/<file>   a file of a package, as it is served
    apt/<repo>/paths/<component>/<prefix>/…                         as in the pool: which paths a package has
    apt/<repo>/suites/<suite>/…                                     what has been published of a suite:
    …/current                       {"generation": <n>}: the pointer; to write it is to publish
    …/generations/<n>               one generation: date, signed documents, which indices
    …/indices/<n>-<sha256>          one index: its leaves, and how its files begin and end
    …/leaves/<n>-<sha256>.<form>    a few hundred stanzas or fragments, compressed
    rpm/<repo>/Packages/<letter>/<12 hex>/<file>                    a package, as it is served
    {apt,rpm}/<repo>/=damaged/…                                     what `pkgd rebuild` has taken out of a pool
    rpm/<repo>/{current,generations,indices,leaves}                 as above
    spool/                                                          uploads, owned by pkgd.storage.spool

What is published carries the number of the generation that brought it, so that whatever a generation drops never
comes back under the same key: it can be removed as soon as that generation is not kept any more. `<12 hex>` is the
beginning of the file's SHA-256, that of the .dsc for all files of a source: two builds of one version never share a
path. A part of an rpm repository's name that would run into the tree of the one above it begins with `=`.
"""

from __future__ import annotations

__all__ = [
    "SPOOL",
    "apt_directory",
    "apt_paths_key",
    "apt_pool_path",
    "current_key",
    "generation_key",
    "generations_prefix",
    "index_key",
    "indices_prefix",
    "kind_of_file",
    "leaf_key",
    "leaves_prefix",
    "rpm_directory",
    "rpm_path",
    "suite_directory",
    "suites_prefix",
]

SPOOL = "spool"
_RESERVED = frozenset(["Packages", "current", "generations", "indices", "leaves"])
_DIGEST_PART = 12


def apt_directory(name: str) -> str:
    """The prefix of an apt repository: what is behind it is the path below its URL, for files of the pool."""
    return f"apt/{name}"


def suites_prefix(name: str) -> str:
    """Where the suites of an apt repository are."""
    return f"{apt_directory(name)}/suites"


def suite_directory(name: str, suite: str) -> str:
    """The prefix of a suite."""
    return f"{suites_prefix(name)}/{suite}"


def apt_pool_path(component: str, prefix: str, source: str, sha256: str, file_name: str) -> str:
    """Where a file of a package is served, below the repository."""
    return f"pool/{component}/{prefix}/{source}/{sha256[:_DIGEST_PART]}/{file_name}"


def apt_paths_key(directory: str, file: str) -> str:
    """Where the list of the paths in a package is, by the prefix of its repository, and its path below that."""
    return f"{directory}/paths/{file.removeprefix('pool/')}"


def rpm_directory(name: str) -> str:
    """The prefix of an rpm repository."""
    return "rpm/" + "/".join(f"={part}" if part in _RESERVED else part for part in name.split("/"))


def rpm_path(sha256: str, file_name: str) -> str:
    """Where a package is served, below the repository."""
    return f"Packages/{file_name[0].lower()}/{sha256[:_DIGEST_PART]}/{file_name}"


def current_key(base: str) -> str:
    """The pointer, in the prefix of a suite or an rpm repository."""
    return f"{base}/current"


def generations_prefix(base: str) -> str:
    """Where the generations are."""
    return f"{base}/generations"


def generation_key(base: str, number: int) -> str:
    """One generation."""
    return f"{base}/generations/{number}"


def indices_prefix(base: str) -> str:
    """Where the indices are."""
    return f"{base}/indices"


def index_key(base: str, name: str) -> str:
    """One index."""
    return f"{base}/indices/{name}"


def leaves_prefix(base: str) -> str:
    """Where the leaves are."""
    return f"{base}/leaves"


def leaf_key(base: str, name: str, form: str) -> str:
    """One leaf in a compressed form."""
    return f"{base}/leaves/{name}.{form}"


def kind_of_file(key: str) -> str:
    """Whether a file below `apt` or `rpm` is a `package` or, being derived from packages, an `index`."""
    parts = key.split("/")
    in_pool = parts[2:3] == ["pool"] if parts[0] == "apt" else "Packages" in parts
    return "package" if in_pool else "index"
