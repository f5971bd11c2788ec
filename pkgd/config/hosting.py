"""What types alone don't say of package repositories and signing keys: names that fit URLs, and each other."""

from __future__ import annotations

import re
from collections.abc import Iterable

from pkgd.config.hosted import AptRepository, RpmRepository, SigningKey
from pkgd.config.schema import Config
from pkgd.errors import ConfigError

__all__ = ["check_hosting"]

_PART = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*")
# As in the names of Debian's own: bookworm, stable-updates, 1.0; a dot never stands first or last.
_SUITE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.+_~-]{0,98}[A-Za-z0-9+_~])?")
_COMPONENT = re.compile(r"[a-z0-9][a-z0-9+_-]{0,99}")
_ARCHITECTURE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_FINGERPRINT = re.compile(r"[0-9A-Fa-f]{40}|[0-9A-Fa-f]{64}")
# What stands at the place of a suite in the URLs of a repository.
_NO_SUITES = frozenset(["pool", "dists", "incoming"])
_NO_RPM_PARTS = frozenset(["repodata", "Packages"])
_MAX_NAME = 200


def check_hosting(config: Config) -> None:
    """Refuse package repositories that could not be addressed, and keys that could not be used.

    :raises ConfigError: with the key's path.
    """
    for name, key in config.signing.keys.items():
        _check_key(f"signing.keys.{name}", name, key)
    keys = {"default", *config.signing.keys}
    repositories = config.repositories
    _check_unique([one.name for one in repositories.apt], "repositories.apt", "name")
    _check_unique([one.name for one in repositories.rpm], "repositories.rpm", "name")
    for at, apt in enumerate(repositories.apt):
        _check_apt(f"repositories.apt[{at}]", apt, keys)
    for at, rpm in enumerate(repositories.rpm):
        _check_rpm(f"repositories.rpm[{at}]", rpm, keys)


def _check_apt(path: str, repository: AptRepository, keys: set[str]) -> None:
    if len(repository.name) > _MAX_NAME or not _PART.fullmatch(repository.name):
        raise ConfigError(f"{path}.name", "one part of lower-case letters, digits, '.', '_' and '-' is needed")
    _check_signing_key(path, repository.signing_key, keys)
    if not repository.compression or len(set(repository.compression)) < len(repository.compression):
        raise ConfigError(f"{path}.compression", "at least one is needed, and each once")
    if not repository.suites:
        raise ConfigError(f"{path}.suites", "at least one is needed")
    if repository.valid_for is not None and repository.valid_for < 3600:
        raise ConfigError(f"{path}.valid_for", "less than an hour: clients' clocks are not that good")
    _check_unique([one.codename for one in repository.suites], f"{path}.suites", "codename")
    for at, suite in enumerate(repository.suites):
        where = f"{path}.suites[{at}]"
        if suite.codename in _NO_SUITES or not _SUITE.fullmatch(suite.codename):
            raise ConfigError(f"{where}.codename", f"{suite.codename!r} is not a name that a suite may have")
        _check_words(suite.components, _COMPONENT, f"{where}.components")
        _check_words(suite.architectures, _ARCHITECTURE, f"{where}.architectures")
        if {"all", "any", "source"}.intersection(suite.architectures):
            raise ConfigError(f"{where}.architectures", "real architectures only: all and source go without saying")
        if suite.but_automatic_upgrades and not suite.not_automatic:
            raise ConfigError(f"{where}.but_automatic_upgrades", "means something only beside not_automatic: true")
        for key in ("origin", "label", "description"):
            text = getattr(suite, key)
            if text is not None and (not text.strip() or not text.isprintable()):
                raise ConfigError(f"{where}.{key}", "one line of text is needed")


def _check_rpm(path: str, repository: RpmRepository, keys: set[str]) -> None:
    parts = repository.name.split("/")
    if _NO_RPM_PARTS.intersection(parts) or any(part.startswith("@") for part in parts):
        raise ConfigError(f"{path}.name", "no part may be repodata or Packages, or begin with @")
    if len(repository.name) > _MAX_NAME or not all(_PART.fullmatch(part) for part in parts):
        raise ConfigError(f"{path}.name", "parts of lower-case letters, digits, '.', '_' and '-' are needed")
    _check_signing_key(path, repository.signing_key, keys)


def _check_key(path: str, name: str, key: SigningKey) -> None:
    if not _PART.fullmatch(name):
        raise ConfigError(path, "a key's name is of lower-case letters, digits, '.', '_' and '-'")
    if key.backend == "gnupg":
        if key.fingerprint is None:
            raise ConfigError(f"{path}.fingerprint", "is needed with backend: gnupg")
        if key.key_file is not None:
            raise ConfigError(f"{path}.key_file", "has no meaning with backend: gnupg, whose keys are in its home")
        if key.passphrase_file is not None:
            raise ConfigError(f"{path}.passphrase_file", "has no meaning with backend: gnupg, whose agent knows it")
    elif key.fingerprint is not None or key.homedir is not None:
        raise ConfigError(path, "fingerprint and homedir are for backend: gnupg")
    if key.fingerprint is not None and not _FINGERPRINT.fullmatch(key.fingerprint):
        raise ConfigError(f"{path}.fingerprint", "the whole fingerprint is needed, of 40 hexadecimal digits")


def _check_signing_key(path: str, name: str, keys: set[str]) -> None:
    if name not in keys:
        raise ConfigError(f"{path}.signing_key", f"there is no signing.keys.{name}")


def _check_words(words: list[str], pattern: re.Pattern[str], path: str) -> None:
    if not words:
        raise ConfigError(path, "at least one is needed")
    for word in words:
        if not pattern.fullmatch(word):
            raise ConfigError(path, f"{word!r} cannot be one")
    _check_unique(words, path, "word")


def _check_unique(names: Iterable[str], path: str, what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(path, f"the {what} {name} is given twice")
        seen.add(name)
