"""What others publish with, behind nginx: aptly for apt, createrepo_c for dnf.

Both in their best reasonable configuration: aptly with by-hash and without Contents, createrepo_c with `--update` and
without databases; signed by gpg with an RSA key of 3,072 bits, as pkgd is by default.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from tests.live.tools import run

__all__ = ["Aptly", "Createrepo", "Gnupg"]


class Gnupg:
    """A home of GnuPG's with a key."""

    def __init__(self, home: Path) -> None:
        home.mkdir(mode=0o700)
        self.home = home
        self._gpg("--passphrase", "", "--quick-generate-key", "Rival <rival@example.org>", "rsa3072", "sign", "never")
        self.public = self._gpg("--armor", "--export").encode()

    def detach(self, file: Path) -> None:
        """Sign a file: FILE.asc."""
        self._gpg("--yes", "--armor", "--detach-sign", str(file))

    def _gpg(self, *arguments: str) -> str:
        return run("gpg", "--homedir", str(self.home), "--batch", *arguments)

    def close(self) -> None:
        """End the agent."""
        run("gpgconf", "--homedir", str(self.home), "--kill", "all")


class Aptly:
    """A repository of aptly's, published in `public`."""

    def __init__(self, folder: Path, gnupg: Gnupg, first: Path) -> None:
        """
        :param first: the package that is published at once.
        """
        folder.mkdir()
        self.public = folder / "public"
        self._gnupg = gnupg
        self._configuration = folder / "aptly.json"
        self._configuration.write_text(
            json.dumps({"rootDir": str(folder), "gpgProvider": "gpg", "architectures": ["amd64"]})
        )
        self._aptly("repo", "create", "-distribution=stable", "-component=main", "it")
        self._aptly("repo", "add", "it", str(first))
        self._aptly("publish", "repo", "-batch", "-acquire-by-hash", "-skip-contents", "it")

    def publish(self, file: Path) -> None:
        """Add a package, and publish."""
        self._aptly("repo", "add", "it", str(file))
        self._aptly("publish", "update", "-batch", "-skip-contents", "stable")

    def source(self, url: str) -> bytes:
        """What apt needs to know."""
        armor = "\n".join(f" {line or '.'}" for line in self._gnupg.public.decode().strip().splitlines())
        return f"Types: deb\nURIs: {url}\nSuites: stable\nComponents: main\nSigned-By:\n{armor}\n".encode()

    def _aptly(self, *arguments: str) -> None:
        run("env", f"GNUPGHOME={self._gnupg.home}", "aptly", f"-config={self._configuration}", *arguments)


class Createrepo:
    """A folder of packages with metadata by createrepo_c."""

    def __init__(self, folder: Path, gnupg: Gnupg, first: Path) -> None:
        """
        :param first: the package that is published at once.
        """
        folder.mkdir()
        self.public = folder
        self._gnupg = gnupg
        (folder / "key.asc").write_bytes(gnupg.public)
        self.publish(first)

    def publish(self, file: Path) -> None:
        """Add a package, and publish."""
        shutil.copy(file, self.public)
        run("createrepo_c", "-q", "--update", "--no-database", str(self.public))
        self._gnupg.detach(self.public / "repodata/repomd.xml")

    def source(self, url: str) -> bytes:
        """What dnf needs to know."""
        return (
            f"[it]\nname=it\nenabled=1\nbaseurl={url}/\nrepo_gpgcheck=1\ngpgcheck=0\ngpgkey={url}/key.asc\n"
        ).encode()
