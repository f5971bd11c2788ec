"""The table of clients, and how a set-up is printed."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pkgd.clientsetup import images, packages
from pkgd.clientsetup.model import Commands, File, Lines, Part, Target

__all__ = ["CLIENTS", "needs", "rendered", "set_up"]

_ALONE: dict[str, Callable[[Target], list[Part]]] = {
    "containerd": images.containerd,
    "cri-o": images.crio,
    "podman": images.podman,
    "docker": images.docker,
    "helm": images.helm,
    "zypper": packages.zypper,
    "curl": packages.curl,
    "dput": packages.dput,
    "gitlab-ci": packages.gitlab_ci,
}
# Of these the server has a part, at a path.
_SERVED: dict[str, tuple[Callable[[Target], str], Callable[[Target, str], list[Part]]]] = {
    "apt": (packages.served_sources, packages.apt),
    "dnf": (packages.served_repo, packages.dnf),
}

CLIENTS = sorted([*_ALONE, *_SERVED])


def needs(client: str, target: Target) -> str | None:
    """The path of what the running server has to be asked for, if anything."""
    return _SERVED[client][0](target) if client in _SERVED else None


def set_up(client: str, target: Target, served: str = "") -> list[Part]:
    """What a client has to be told.

    :param client: one of `CLIENTS`.
    :param served: what the server answered where something is needed of it.
    """
    return _SERVED[client][1](target, served) if client in _SERVED else _ALONE[client](target)


def rendered(parts: Sequence[Part]) -> str:
    """A set-up, to be read and copied from: each file with its path, then what is typed."""
    return "\n".join(_rendered(one) for one in parts)


def _rendered(part: Part) -> str:
    match part:
        case File(path, text):
            return text if text.startswith(f"# {path}\n") else f"// {path}\n{text}"
        case Lines(path, text):
            return f"# in {path}\n{text}"
        case Commands(text):
            return text
