"""dnf and zypper with configurations, caches and package databases of their own."""

from __future__ import annotations

from pathlib import Path

from tests.live.tools import run


class Dnf:
    """One dnf, with a root to install into."""

    def __init__(self, folder: Path, repositories: bytes) -> None:
        """
        :param repositories: a file for yum.repos.d.
        """
        self.root = folder / "root"
        self.root.mkdir()
        (folder / "repos").mkdir()
        (folder / "repos/it.repo").write_bytes(repositories)
        (folder / "dnf.conf").write_text(
            f"[main]\nreposdir={folder}/repos\ncachedir={folder}/cache\npersistdir={folder}/persist\n"
            f"logdir={folder}/log\npluginpath={folder}/none\nvarsdir={folder}/none\nretries=1\nskip_if_unavailable=False\n"
        )
        self.words: tuple[str, ...] = (
            "dnf",
            "-y",
            "-c",
            str(folder / "dnf.conf"),
            "--releasever=9",
            f"--installroot={self.root}",
        )

    def use_plugins(self, modules: Path) -> None:
        """Know the commands of the plugins in a folder of Python's modules."""
        program, *words = self.words
        self.words = ("env", f"PYTHONPATH={modules}", program, *words, f"--setopt=pluginpath={modules}/dnf-plugins")

    def __call__(self, *arguments: str) -> str:
        """Run a command of dnf's."""
        return run(*self.words, *arguments, timeout=90)

    def update(self) -> None:
        """Fetch the metadata anew."""
        self("--refresh", "makecache")

    def names(self, *arguments: str) -> list[str]:
        """The names of the packages that a query finds."""
        return sorted(self("-q", "repoquery", "--qf", "%{name}\n", *arguments).split())

    def installed(self) -> list[str]:
        """Names and versions of what is installed."""
        return sorted(run("rpm", "--root", str(self.root), "-qa", "--qf", "%{name}-%{version}\n").split())


class Zypper:
    """One zypper, with a root."""

    def __init__(self, folder: Path, authorities: tuple[str, Path] | None = None) -> None:
        """
        :param authorities: the machine's file of authorities, and what is to be in its place: zypper has no setting
            for them that a .repo file could go without.
        """
        self.folder = folder
        self._words: tuple[str, ...] = ("zypper", "--root", str(folder), "--non-interactive", "--gpg-auto-import-keys")
        if authorities is not None:
            file, instead = authorities
            own = f'mount --bind "{instead}" "{file}" && exec "$@"'
            self._words = ("unshare", "--mount", "sh", "-c", own, "sh", *self._words)

    def __call__(self, *arguments: str) -> str:
        """Run a command of zypper's."""
        return run(*self._words, *arguments, timeout=90)
