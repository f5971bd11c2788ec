"""apt with a configuration, caches and a dpkg database of its own."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.live.tools import run

_CONFIGURATION = """\
APT::Architecture "amd64"; APT::Architectures {{ "amd64"; }}; APT::Sandbox::User "root";
APT::Get::Assume-Yes "true"; APT::Install-Recommends "false";
Acquire::Languages "none"; Acquire::Retries "0"; Acquire::http::Proxy "false";
Dir::Etc "{root}/etc"; Dir::State "{root}/state"; Dir::State::status "{root}/target/var/lib/dpkg/status";
Dir::Cache "{root}/cache"; Dir::Log "{root}/log";
DPkg::Options {{ "--root={root}/target"; "--force-script-chrootless"; "--force-not-root"; "--log=/dev/null"; }};
{more}
"""
_FOLDERS = [
    *("etc/sources.list.d", "etc/apt.conf.d", "etc/preferences.d", "etc/trusted.gpg.d", "state/lists/partial"),
    *("cache/archives/partial", "log", "downloads", "target/var/lib/dpkg/info", "target/var/lib/dpkg/updates"),
    "target/var/lib/dpkg/triggers",
]
# What apt says, with exit status 0 sometimes, when a repository contradicts itself.
_COMPLAINTS = ("Hash Sum mismatch", "File has unexpected size", "BADSIG", "NO_PUBKEY", "\nW: ", "\nE: ")


class Complained(Exception):
    """apt was not content."""


class Apt:
    """One apt."""

    def __init__(self, root: Path, settings: Sequence[str] = ()) -> None:
        """
        :param settings: lines for its configuration.
        """
        self._root = root
        for one in _FOLDERS:
            (root / one).mkdir(parents=True)
        (root / "target/var/lib/dpkg/status").touch()
        self.configuration = root / "apt.conf"
        self.configuration.write_text(_CONFIGURATION.format(root=root, more="\n".join(settings)))

    @property
    def target(self) -> Path:
        """Where packages are installed."""
        return self._root / "target"

    @property
    def downloads(self) -> Path:
        """Where downloads and sources go."""
        return self._root / "downloads"

    @property
    def archives(self) -> Path:
        """apt's cache of packages."""
        return self._root / "cache/archives"

    def add_source(self, text: bytes) -> None:
        """Take a file for sources.list.d."""
        number = len(list((self._root / "etc/sources.list.d").iterdir()))
        (self._root / f"etc/sources.list.d/{number}.sources").write_bytes(text)

    def __call__(self, program: str, *arguments: str, timeout: float = 60) -> str:
        """Run one of apt's programs; what it says goes with what it prints."""
        words = (
            "env",
            "-C",
            str(self.downloads),
            f"APT_CONFIG={self.configuration}",
            "DEBIAN_FRONTEND=noninteractive",
        )
        return run(*words, "sh", "-c", 'exec "$@" 2>&1', "sh", program, *arguments, timeout=timeout)

    def update(self) -> str:
        """`apt-get update`, which may not complain."""
        said = self("apt-get", "update", "-o", "APT::Update::Error-Mode=any")
        for one in _COMPLAINTS:
            if one in "\n" + said:
                raise Complained(said[-2000:])
        return said

    def versions(self) -> dict[str, str]:
        """Every package that can be installed, and its newest version."""
        found: dict[str, str] = {}
        for line in self("apt-cache", "dumpavail").splitlines():
            key, _, value = line.partition(":")
            value = value.strip()
            if key == "Package":
                name = value
            elif key == "Version":
                found[name] = value
        return found

    def installed(self) -> dict[str, str]:
        """What is installed below the target."""
        text = run("dpkg-query", f"--admindir={self.target}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\\n")
        return dict(line.split() for line in text.splitlines())
