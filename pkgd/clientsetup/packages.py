"""Package managers, and what uploads packages: apt, dnf, zypper; curl, dput, GitLab's CI."""

from __future__ import annotations

from pkgd.clientsetup.model import PRIVATE, Commands, File, Lines, Part, Target

__all__ = ["apt", "curl", "dnf", "dput", "gitlab_ci", "served_repo", "served_sources", "zypper"]


def served_sources(target: Target) -> str:
    """Where the server has what `apt` needs of it: a deb822 source with the keys in it."""
    return f"/apt/{target.apt}/{target.suite}.sources"


def served_repo(target: Target) -> str:
    """Where the server has what `dnf` needs of it: it knows whether its packages are signed."""
    return f"/rpm/{target.rpm}/pkgd.repo"


def apt(target: Target, served: str) -> list[Part]:
    """A source, and a login beside it (apt_auth.conf(5)), which apt shows to https only unless the entry says http.

    :param served: what the server has at `served_sources`.
    """
    path = f"/etc/apt/sources.list.d/{target.apt}.sources"
    parts: list[Part] = [File(path, f"# {path}\n{served}")]
    if target.login:
        path = "/etc/apt/auth.conf.d/pkgd.conf"
        login = f"login {target.login.user}\npassword {target.login.password}\n"
        parts.append(File(path, f"# {path}\nmachine {target.url}/apt/{target.apt}\n{login}", PRIVATE))
    return [*parts, Commands("apt-get update\n")]


def dnf(target: Target, served: str) -> list[Part]:
    """A repository, with the login in it.

    :param served: what the server has at `served_repo`.
    """
    path = f"/etc/yum.repos.d/{_alias(target)}.repo"
    login = f"username={target.login.user}\npassword={target.login.password}\n" if target.login else ""
    return [File(path, f"# {path}\n{served}{login}", target.mode), Commands("dnf makecache\n")]


def zypper(target: Target) -> list[Part]:
    """A repository, and a file with the login, which the URL names."""
    url, parts = f"{target.url}/rpm/{target.rpm}/", list[Part]()
    if target.login:
        login = f"username={target.login.user}\npassword={target.login.password}\n"
        parts.append(File("/etc/zypp/credentials.d/pkgd", login, PRIVATE))
        url += "?credentials=pkgd"
    return [*parts, Commands(f"zypper addrepo --refresh --gpgcheck '{url}' {_alias(target)}\nzypper refresh\n")]


def curl(target: Target) -> list[Part]:
    """Uploads of single packages; answered when they are published."""
    login = f"-u {target.login.user} " if target.login else ""
    lines = [
        f'curl -fsS {login}-T hello_1.0_amd64.deb "{target.url}/apt/{target.apt}/{target.suite}/main/"',
        f'curl -fsS {login}-T hello-1.0-1.x86_64.rpm "{target.url}/rpm/{target.rpm}/"',
    ]
    return [Commands("\n".join([*lines, ""]))]


def dput(target: Target) -> list[Part]:
    """Debian's uploader (dput.cf(5)); it asks for the password."""
    lines = [
        "[pkgd]",
        f"method = {target.url.partition(':')[0]}",
        f"fqdn = {target.host}",
        f"incoming = /apt/{target.apt}/incoming/{target.suite}",
        *([f"login = {target.login.user}"] if target.login else []),
        "allow_unsigned_uploads = 1",
        "",
    ]
    return [Lines("~/.dput.cf", "\n".join(lines)), Commands("dput pkgd hello_1.0_amd64.changes\n")]


def gitlab_ci(target: Target) -> list[Part]:
    """A job that shows a token of its own, and stores no secret (docs/api-backends.md#workloads)."""
    lines = [
        "publish:",
        f"  id_tokens: {{PKGD: {{aud: {target.url}}}}}",
        "  script:",
        f'    - echo "$PKGD" | docker login -u oidc --password-stdin {target.host}',
        f"    - docker push {target.host}/$CI_PROJECT_PATH:$CI_COMMIT_TAG",
        '    - \'curl -fsS -H "Authorization: Bearer $PKGD" -T build/app.deb '
        f"{target.url}/apt/{target.apt}/{target.suite}/main/'",
        "",
    ]
    return [Lines(".gitlab-ci.yml", "\n".join(lines))]


def _alias(target: Target) -> str:
    return target.rpm.replace("/", "-")
