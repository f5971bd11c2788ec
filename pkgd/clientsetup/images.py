"""Clients of the registry and of the mirror: containerd, CRI-O, podman, docker, helm."""

from __future__ import annotations

import json

from pkgd.clientsetup.model import PRIVATE, Commands, File, Lines, Part, Target

__all__ = ["containerd", "crio", "docker", "helm", "podman"]

# podman and CRI-O have to be told of each registry.
REGISTRIES = ("docker.io", "registry.k8s.io", "ghcr.io", "quay.io")

_HOSTS = "/etc/containerd/certs.d"
_REGISTRIES_CONF = "/etc/containers/registries.conf.d/50-pkgd.conf"
_CRIO_LOGINS = "/etc/crio/pkgd-auth.json"


def containerd(target: Target) -> list[Part]:
    """One file for all registries (containerd's docs/hosts.md): it says with each request which one it means."""
    path = f"{_HOSTS}/_default/hosts.toml"
    # Without `server`, the registry itself is asked last.
    server = [] if target.falls_back else [f'server = "{target.url}"']
    lines = [
        f"# {path}",
        *server,
        f'[host."{target.url}"]',
        '  capabilities = ["pull", "resolve"]',
        '  dial_timeout = "2s"',
    ]
    if target.login:
        lines += [f'[host."{target.url}".header]', f'  Authorization = "Basic {target.login.base64}"']
    return [
        File(path, _text(lines), target.mode),
        Lines("/etc/containerd/config.toml", _plugin("2.x", "io.containerd.cri.v1.images")),
        Lines("/etc/containerd/config.toml", _plugin("1.x", "io.containerd.grpc.v1.cri")),
        Commands("systemctl restart containerd\n"),
    ]


def podman(target: Target) -> list[Part]:
    """For podman, skopeo and buildah (containers-registries.conf(5)), which name the registry in the path."""
    return [_registries_conf(target), *_login("podman login", target)]


def crio(target: Target) -> list[Part]:
    """As podman, and a file of logins (crio.conf(5), `global_auth_file`)."""
    parts: list[Part] = [_registries_conf(target)]
    if target.login:
        logins = {"auths": {target.host: {"auth": target.login.base64}}}
        settings = "/etc/crio/crio.conf.d/50-pkgd.conf"
        parts += [
            File(_CRIO_LOGINS, json.dumps(logins, indent=2) + "\n", PRIVATE),
            File(settings, f'# {settings}\n[crio.image]\nglobal_auth_file = "{_CRIO_LOGINS}"\n'),
        ]
    return [*parts, Commands("systemctl restart crio\n")]


def docker(target: Target) -> list[Part]:
    """The engine mirrors Docker Hub alone, and shows a mirror no credentials but Docker Hub's."""
    insecure = f', "insecure-registries": ["{target.host}"]' if target.is_plain else ""
    parts: list[Part] = [
        File("/etc/docker/daemon.json", f'{{ "registry-mirrors": ["{target.url}"]{insecure} }}\n'),
        Commands("systemctl restart docker\n"),
    ]
    if target.login and target.by_browser:
        parts += [
            Lines("~/.docker/config.json", f'{{ "credHelpers": {{ "{target.host}": "pkgd" }} }}\n'),
            Commands(f"pkgd login {target.url}\n"),
        ]
    return [*parts, *_login("docker login", target)]


def helm(target: Target) -> list[Part]:
    """Charts are artifacts in the registry."""
    plain = " --plain-http" if target.is_plain else ""
    lines = [
        f"helm push chart-1.0.0.tgz oci://{target.host}/charts{plain}",
        f"helm install release oci://{target.host}/charts/chart --version 1.0.0{plain}",
    ]
    return [*_login("helm registry login", target), Commands(_text(lines))]


def _registries_conf(target: Target) -> File:
    lines = [f"# {_REGISTRIES_CONF}"]
    for name in REGISTRIES:
        lines += ["[[registry]]", f'prefix = "{name}"', f'location = "{name}"', "[[registry.mirror]]"]
        lines += [f'location = "{target.host}/{name}"', *(["insecure = true"] if target.is_plain else [])]
    if target.is_plain:
        lines += ["[[registry]]", f'location = "{target.host}"', "insecure = true"]
    return File(_REGISTRIES_CONF, _text(lines))


def _plugin(version: str, name: str) -> str:
    return f'# containerd {version}\n[plugins."{name}".registry]\n  config_path = "{_HOSTS}"\n'


def _login(command: str, target: Target) -> list[Part]:
    return [Commands(f"{command} -u {target.login.user} {target.host}\n")] if target.login else []


def _text(lines: list[str]) -> str:
    return "\n".join([*lines, ""])
