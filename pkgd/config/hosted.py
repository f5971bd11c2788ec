"""The sections of package repositories and of the keys that sign them (docs/configuration.md has every key)."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from pkgd.config.kinds import Duration, Section

__all__ = ["AptRepository", "AptSuite", "RpmRepository", "Signing", "SigningKey"]

AptCompression = Literal["gz", "zst", "xz"]


class AptSuite(Section, frozen=True):
    """`repositories.apt[].suites[]`: one suite, and what its Release file says of it."""

    codename: str
    components: list[str] = msgspec.field(default_factory=lambda: ["main"])
    architectures: list[str] = msgspec.field(default_factory=lambda: ["amd64", "arm64"])
    origin: str | None = None
    label: str | None = None
    description: str | None = None
    not_automatic: bool = False
    but_automatic_upgrades: bool = False


class AptRepository(Section, frozen=True):
    """`repositories.apt[]`: one apt repository."""

    name: str
    suites: list[AptSuite] = msgspec.field(default_factory=lambda: [AptSuite(codename="stable")])
    signing_key: str = "default"
    compression: list[AptCompression] = msgspec.field(default_factory=lambda: ["gz", "zst"])
    contents: bool = False
    keep_generations: Annotated[int, msgspec.Meta(ge=3)] = 3
    valid_for: Duration | None = None


class RpmRepository(Section, frozen=True):
    """`repositories.rpm[]`: one rpm repository."""

    name: str
    signing_key: str = "default"
    compression: Literal["gz", "zst"] = "gz"
    sign_packages: Literal["keep", "require", "sign"] = "keep"
    keep_generations: Annotated[int, msgspec.Meta(ge=3)] = 3


class SigningKey(Section, frozen=True):
    """`signing.keys.<name>`: a key, in a file of its own or in a GnuPG home.

    Without `key_file` a native key is in the state directory, where the first start makes it.
    """

    backend: Literal["native", "gnupg"] = "native"
    algorithm: Literal["rsa3072", "rsa4096", "ed25519"] = "rsa3072"
    key_file: str | None = None
    passphrase_file: str | None = None
    fingerprint: str | None = None
    gpg: str = "gpg"
    homedir: str | None = None


class Signing(Section, frozen=True):
    """`signing`: the keys that repositories name. One called `default` is there without being written."""

    keys: dict[str, SigningKey] = {}
    rotate_warn: Duration = 30 * 86400.0

    def key(self, name: str) -> SigningKey:
        """A key by its name, whether or not it has a section."""
        return self.keys.get(name, SigningKey())
