"""Passwords, passphrases and keys, out of the configuration or out of the file that it names."""

from __future__ import annotations

from pkgd.config.federated import Oidc
from pkgd.config.hosted import SigningKey
from pkgd.config.schema import UpstreamRegistry
from pkgd.errors import ConfigError

__all__ = ["read_client_secret", "read_key_file", "read_passphrase", "read_password"]

# More is no password but the wrong file; tokens have a few KiB.
_LIMIT = 64 << 10
_KEYS_LIMIT = 256 << 10


def read_password(host: str, section: UpstreamRegistry) -> str | None:
    """The password of a registry's section, or None; reads its `password_file`, without the line end.

    :param host: the registry, for the error.
    :raises ConfigError: if the file cannot be read, or has no password in it.
    """
    if section.password_file is None:
        return section.password.reveal() if section.password else None
    return _read(section.password_file, f"mirror.registries.{host}.password_file")


def read_passphrase(name: str, section: SigningKey) -> str | None:
    """The passphrase of a signing key, or None; reads its `passphrase_file`, without the line end.

    :param name: the key, for the error.
    :raises ConfigError: if the file cannot be read, or has no passphrase in it.
    """
    if section.passphrase_file is None:
        return None
    return _read(section.passphrase_file, f"signing.keys.{name}.passphrase_file")


def read_client_secret(section: Oidc) -> str | None:
    """The secret by which the provider knows this server, or None; reads its file, without the line end.

    :raises ConfigError: if the file cannot be read, or has no secret in it.
    """
    if section.client_secret_file is None:
        return section.client_secret.reveal() if section.client_secret else None
    return _read(section.client_secret_file, "auth.oidc.client_secret_file")


def read_key_file(file_path: str, path: str) -> bytes:
    """The content of a file with keys, or with a secret.

    :param path: the key of the configuration that names it.
    :raises ConfigError: if it cannot be read.
    """
    try:
        with open(file_path, "rb") as file:
            content = file.read(_KEYS_LIMIT + 1)
    except OSError as error:
        raise ConfigError(path, f"{file_path} cannot be read: {error.strerror}") from error
    if len(content) > _KEYS_LIMIT:
        raise ConfigError(path, f"{file_path} is larger than {_KEYS_LIMIT >> 10} KiB")
    return content


def _read(file_path: str, path: str) -> str:
    """The one line of a file.

    :param path: the key of the configuration that names it.
    """
    try:
        with open(file_path, "rb") as file:
            content = file.read(_LIMIT + 1)
    except OSError as error:
        raise ConfigError(path, f"{file_path} cannot be read: {error.strerror}") from error
    try:
        # No decoding error is passed on: it has the bytes in it.
        password = content.decode("utf-8").removesuffix("\n").removesuffix("\r")
    except UnicodeDecodeError:
        password = ""
    if not password or len(content) > _LIMIT:
        raise ConfigError(path, f"{file_path} has no password in it: one line of text is needed")
    return password
