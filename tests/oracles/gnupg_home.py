"""GnuPG in a home of its own, for keys as its users have them. Its agent ends with the home."""

from __future__ import annotations

import os
import subprocess
import tempfile
from types import TracebackType
from typing import Self

__all__ = ["GnuPG"]

_PROTECTED = ("--pinentry-mode", "loopback", "--passphrase")


class GnuPG:
    """A context: the home is made on entering, and removed with its agent on leaving."""

    def __init__(self) -> None:
        self._directory = tempfile.TemporaryDirectory(prefix="gpg-")
        self.home = self._directory.name

    def __enter__(self) -> Self:
        os.chmod(self.home, 0o700)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        subprocess.run(["gpgconf", "--homedir", self.home, "--kill", "all"], check=False)
        self._directory.cleanup()

    def run(self, *arguments: str, data: bytes = b"", check: bool = True) -> subprocess.CompletedProcess[bytes]:
        """Run gpg."""
        command = ["gpg", "--homedir", self.home, "--batch", "--yes", "--no-tty", *arguments]
        done = subprocess.run(command, input=data, capture_output=True, check=False, timeout=120)
        if check and done.returncode:
            raise AssertionError(f"{' '.join(command)}: {done.stderr.decode('utf-8', 'replace')}")
        return done

    def generate(
        self, name: str, algorithm: str, passphrase: str = "", usage: str = "sign", expires: str = "never", *more: str
    ) -> str:
        """Make a key; its fingerprint."""
        self.run(*more, *_PROTECTED, passphrase, "--quick-generate-key", name, algorithm, usage, expires)
        return self.fingerprint(name)

    def add_subkey(self, fingerprint: str, algorithm: str, passphrase: str = "", expires: str = "never") -> None:
        """Add a subkey that signs."""
        self.run(*_PROTECTED, passphrase, "--quick-add-key", fingerprint, algorithm, "sign", expires)

    def revoke(self, fingerprint: str) -> None:
        """Revoke a key, with the certificate that was made along with it."""
        with open(f"{self.home}/openpgp-revocs.d/{fingerprint}.rev", "rb") as file:
            self.run("--import", data=file.read().replace(b":-----BEGIN", b"-----BEGIN"))

    def fingerprint(self, name: str) -> str:
        """The fingerprint of the key with a user name."""
        lines = self.run("--with-colons", "--list-keys", name).stdout.decode("utf-8").splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def export(self, name: str, passphrase: str = "", subkeys: bool = False) -> bytes:
        """The secret key in armor."""
        what = "--export-secret-subkeys" if subkeys else "--export-secret-keys"
        return self.run(*_PROTECTED, passphrase, "--armor", what, name).stdout

    def public(self, *names: str) -> bytes:
        """Public keys in armor."""
        return self.run("--armor", "--export", *names).stdout
