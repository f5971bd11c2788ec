"""The rules of `docs/architecture.md` about who may import and call what, read off the source.

A rule looks at one module and yields what breaks it, each with its line. Names are compared as they
are written, so a rule also refuses the ways around it: relative imports, aliases, `from os import`.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

from attrs import frozen

__all__ = ["Source", "sources", "violations"]

Breach = tuple[int, str]

_FLOOR = frozenset(["errors", "flow", "blocking", "sharing", "logfile", "secretfiles", "built", "progress"])
_DOMAIN = _FLOOR | {"formats", "state"}
_BELOW_WEB = _FLOOR | {"formats", "storage", "registry", "auth", "mirror", "packages", "metrics"}

# Room -> the other rooms that it may import. What is missing here may not exist.
ROOMS: dict[str, frozenset[str]] = {
    "pkgd": frozenset(),
    "errors": frozenset(),
    "flow": frozenset(["errors"]),
    "blocking": frozenset(),
    "built": frozenset(["pkgd"]),
    "sharing": frozenset(),
    "secretfiles": frozenset(["errors"]),
    "logfile": frozenset(["blocking"]),
    "metrics": frozenset(["built"]),
    "usage": _FLOOR | {"metrics", "packages", "storage"},
    "progress": frozenset(),
    "terminal": frozenset(["progress"]),
    "lag": frozenset(),
    "watching": frozenset(["authorization", "blocking", "config", "lag", "metrics", "web"]),
    "admin": _FLOOR,
    "state": frozenset(["errors"]),
    "logs": frozenset(),
    "config": frozenset(["errors", "formats"]),
    "formats": frozenset(["errors"]),
    "storage": _FLOOR | {"formats"},
    "registry": _DOMAIN | {"storage"},
    "outbound": _FLOOR | {"formats"},
    "mirror": _DOMAIN | {"storage", "registry", "outbound", "metrics"},
    "packages": _DOMAIN | {"storage"},
    "auth": _DOMAIN | {"outbound", "metrics"},
    "web": _BELOW_WEB,
    "authorization": frozenset(["errors", "auth", "config", "formats", "mirror"]),
    "hosting": _BELOW_WEB | {"config", "web"},
    "provider": _BELOW_WEB | {"config", "outbound", "web", "logins"},
    "logins": _BELOW_WEB | {"config", "state", "web"},
    "users": _FLOOR | {"auth", "config", "metrics"},
    "authentication": _BELOW_WEB
    | {"state", "config", "outbound", "web", "authorization", "federation", "logins", "provider", "users"},
    "federation": _FLOOR | {"formats", "auth", "outbound", "config"},
    "stores": _FLOOR | {"config", "metrics", "packages", "registry", "state", "storage"},
    "mirroring": _BELOW_WEB | {"config", "outbound", "web", "authorization", "stores"},
    "composition": _BELOW_WEB
    | {"state", "config", "outbound", "web", "hosting", "authentication", "authorization"}
    | {"upkeep", "scrub", "backup", "stores", "mirroring", "retention", "usage", "watching"},
    "recurring": _FLOOR | {"composition", "config", "packages"},
    "reloading": _FLOOR | {"composition", "config", "recurring", "web"},
    "scrub": _DOMAIN | {"storage", "packages", "backup"},
    "retention": _DOMAIN | {"storage", "registry", "packages"},
    "upkeep": _FLOOR | {"auth", "config", "formats", "metrics", "registry", "retention", "scrub"},
    "upkeep_command": _FLOOR
    | {"admin", "config", "locking", "metrics", "rebuild", "registry", "state", "storage", "upkeep"}
    | {"auth", "backup", "formats", "hosting", "packages", "retention", "scrub", "terminal"},
    "daemon": _BELOW_WEB
    | {"state", "config", "web", "outbound", "composition", "locking", "admin", "authentication"}
    | {"lag", "metrics", "watching", "recurring", "reloading", "listening", "patience"},
    "sdnotify": frozenset(),
    "signals": frozenset(),
    "patience": frozenset(),
    "listening": frozenset(["errors", "web"]),
    "tap": frozenset(["config", "daemon", "errors", "sdnotify", "signals"]),
    "prefetch": frozenset(["errors", "formats"]),
    "upload": frozenset(["errors", "prefetch", "pkgd", "terminal"]),
    "locking": frozenset(["errors"]),
    "rebuild": _BELOW_WEB | {"state", "config", "hosting", "locking", "terminal"},
    "clientsetup": frozenset(["errors", "secretfiles"]),
    "backup": _FLOOR | {"pkgd", "formats", "state", "storage", "packages", "config", "locking", "terminal"},
    "signing_command": frozenset(["errors", "formats", "packages", "secretfiles"]),
    "options": frozenset(),
    "login": frozenset(["errors", "options", "prefetch", "pkgd"]),
    "online_check": frozenset(["errors", "auth", "config", "federation", "provider"]),
    "commands": frozenset(
        ["errors", "pkgd", "config", "logs", "tap", "web", "prefetch", "upload", "signing_command", "rebuild"]
        + ["auth", "authorization", "online_check", "logins", "options", "state", "built", "clientsetup", "backup"]
        + ["blocking", "logfile", "upkeep_command", "terminal", "signals"]
    ),
    "__main__": frozenset(["errors", "built", "commands", "login", "terminal"]),
    "door": frozenset(["tap"]),
}

# Library -> the modules that may import it; a name stands for all below it, too.
ONLY_IN: dict[str, tuple[str, ...]] = {
    "twisted.internet.reactor": ("pkgd.tap", "pkgd.commands", "pkgd.tac"),
    "klein": ("pkgd.web",),
    "werkzeug": ("pkgd.web",),
    "twisted.web": ("pkgd.web", "pkgd.outbound"),
    "treq": ("pkgd.outbound",),
    "prometheus_client": ("pkgd.metrics",),
    "jwt": ("pkgd.auth",),
    "bcrypt": ("pkgd.auth",),
    "gnupg": ("pkgd.packages.gnupgsigner",),
    "tqdm": ("pkgd.prefetch", "pkgd.upload", "pkgd.terminal"),
    "OpenSSL": ("pkgd.web.tls",),
    "sqlite3": ("pkgd.state",),
    "twisted.enterprise": ("pkgd.state",),
    "yaml": ("pkgd.config",),
    "fcntl": ("pkgd.locking",),
    "pathlib": ("pkgd.storage",),
    "shutil": ("pkgd.storage", "pkgd.backup.taking"),
    "tempfile": ("pkgd.storage",),
    "io": ("pkgd.storage",),
    "glob": ("pkgd.storage",),
    "mmap": ("pkgd.storage",),
}

# Who touches files: the storage, and these, each for the reason that stands behind it.
FILES_IN = (
    "pkgd.storage",
    "pkgd.config",  # its own file
    "pkgd.admin.server",  # the socket's file
    "pkgd.state",  # a damaged index is begun anew
    "pkgd.daemon",  # the state directory
    "pkgd.locking",  # and its lock
    "pkgd.upkeep_command",  # which commands need, too
    "pkgd.rebuild.command",  # which it needs, too
    "pkgd.backup",  # copies of the whole state
    "pkgd.secretfiles",  # keys, which nobody else may read
    "pkgd.packages.keyring",  # signing keys, which nobody else may read
    "pkgd.auth.htpasswd",  # users, read again when they change
    "pkgd.auth.tokenkeys",  # keys of tokens, which nobody else may read
    "pkgd.login.credentials",  # its own file
    "pkgd.commands.credentials",  # its own file
    "pkgd.commands.k8s_credential_provider",  # the key of the node
    "pkgd.commands.localaccounts",  # whether pkgd has ever run, and who is changing its keys
    "pkgd.clientsetup.installing",  # files of clients
    "pkgd.prefetch.command",  # the list of images
    "pkgd.upload.command",  # what is uploaded
    "pkgd.logfile",
    "pkgd.web.site",  # reading ahead
    "pkgd.web.accepting",  # whether there are descriptors
    "pkgd.web.transport",  # sendfile
    "pkgd.web.ui.page",  # its own files
    "pkgd.web.openapi.document",  # its own file
    "pkgd.terminal",  # in place of streams that nobody reads
    "pkgd.web.tls",  # has a certificate changed?
)
_HARMLESS = frozenset(
    ["environ", "getcwd", "strerror", "getpid", "getppid", "fsencode", "fsdecode", "cpu_count", "setpriority"]
)
_HARMLESS_PATHS = frozenset(["join", "normpath", "dirname", "basename", "abspath", "isabs", "split", "splitext"])

# Banned everywhere: what they do with hostile input, or to the reactor, cannot be made safe.
BANNED_IMPORTS = (
    "tarfile",
    "pickle",
    "marshal",
    "shelve",
    "requests",
    "importlib",
    "twisted.internet.ssl.optionsForClientTLS",
    "twisted.names",
    "twisted.web.static",
)
BANNED_ATTRIBUTES = {
    "is_global": "no filter of addresses",
    "sleep": "blocks a thread",
    "optionsForClientTLS": "accepts certificates that name no host",
}
BANNED_NAMES = frozenset(["eval", "exec", "compile", "__import__"])
BANNED_KEYWORDS = frozenset([("shell", "True"), ("verify", "False")])

# How twisted.web and our own request write answers: for respond.py alone, and for the request itself.
_ANSWERING = frozenset(["send", "send_file", "write_body", "finish", "write", "redirect"]) | frozenset(
    ["setHeader", "setResponseCode", "setETag", "setLastModified"]
)
_ANSWER_IN = ("pkgd.web.respond", "pkgd.web.request")


@frozen
class Source:
    """One module: where it is, what it is called, and its text."""

    path: str
    module: str
    tree: ast.Module

    @classmethod
    def of(cls, path: str, text: str) -> Source:
        """The module at a path relative to the root of the repository."""
        module = path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")
        return cls(path, module, ast.parse(text, path))

    @property
    def room(self) -> str:
        """The room it stands in: the first part below `pkgd`."""
        if self.path == "pkgd.tac" or not self.path.startswith("pkgd/"):
            return "door"
        return (self.module.split(".") + ["pkgd"])[1]

    def is_in(self, *names: str) -> bool:
        """Whether it is one of these modules, or below one."""
        return any(_is_below(self.module, name) for name in names)


def sources(root: Path) -> list[Source]:
    """Every module of pkgd, and its doors."""
    paths = [*sorted(root.glob("pkgd/**/*.py")), *sorted(root.glob("twisted/plugins/*.py")), root / "pkgd.tac"]
    return [Source.of(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")) for path in paths]


def violations(source: Source) -> list[str]:
    """What breaks any rule, as `file:line: what`."""
    breaches = sorted({breach for rule in _RULES for breach in rule(source)})
    return [f"{source.path}:{line}: {what}" for line, what in breaches]


def _is_below(name: str, above: str) -> bool:
    return name == above or name.startswith(f"{above}.")


def _imports(source: Source) -> Iterator[Breach]:
    """Line and dotted name of everything that is imported, wherever the import stands."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, one.name) for one in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from ((node.lineno, f"{node.module or ''}.{one.name}") for one in node.names)


def _rooms(source: Source) -> Iterator[Breach]:
    """Imports of pkgd's own point down, and never to a room on the same level."""
    if source.room not in ROOMS:
        yield 1, f"{source.room} is no room of the map"
        return
    for line, name in _imports(source):
        room = (name.split(".") + ["pkgd"])[1] if _is_below(name, "pkgd") else source.room
        if room in ROOMS and room not in (source.room, "pkgd", *ROOMS[source.room]):
            yield line, f"{source.room} may not import {room}"


def _relative(source: Source) -> Iterator[Breach]:
    """Imports are absolute."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield node.lineno, "relative import"


def _libraries(source: Source) -> Iterator[Breach]:
    """A library that has one place is imported there only; a banned one nowhere."""
    for line, name in _imports(source):
        for library, places in ONLY_IN.items():
            if _is_below(name, library) and not source.is_in(*places):
                yield line, f"{library} is for {' and '.join(places)}"
        if any(_is_below(name, banned) for banned in BANNED_IMPORTS):
            yield line, f"{name} is banned"


def _names(source: Source) -> Iterator[Breach]:
    """Banned attributes, functions and keyword arguments."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in BANNED_ATTRIBUTES:
            yield node.lineno, f"{node.attr} is banned: {BANNED_ATTRIBUTES[node.attr]}"
        elif isinstance(node, ast.Name) and node.id in BANNED_NAMES:
            yield node.lineno, f"{node.id} is banned"
        elif isinstance(node, ast.keyword) and (node.arg, ast.unparse(node.value)) in BANNED_KEYWORDS:
            yield node.value.lineno, f"{node.arg}={ast.unparse(node.value)} is banned"


def _files(source: Source) -> Iterator[Breach]:
    """Files are touched where they may be; a mere mention counts, for it may be called by a thread."""
    if source.is_in(*FILES_IN):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Name) and node.id == "open":
            yield node.lineno, "open: files are for the storage"
        elif isinstance(node, ast.Attribute) and _touches_files(node):
            yield node.lineno, f"{ast.unparse(node)}: files are for the storage"
        elif isinstance(node, ast.ImportFrom) and node.module in ("os", "os.path"):
            yield node.lineno, f"from {node.module} import hides which calls touch files"
        elif isinstance(node, ast.Import) and any(one.name == "os" and one.asname for one in node.names):
            yield node.lineno, "an alias of os hides which calls touch files"


def _touches_files(node: ast.Attribute) -> bool:
    """Whether `os.x` or `os.path.x` is a call that touches files; constants are upper case."""
    match ast.unparse(node).split("."):
        case ["os", name]:
            return name not in _HARMLESS and name != "path" and not name.isupper()
        case ["os", "path", name]:
            return name not in _HARMLESS_PATHS
    return False


def _answers(source: Source) -> Iterator[Breach]:
    """Only respond.py writes answers."""
    if source.is_in(*_ANSWER_IN):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Attribute) and node.attr in _ANSWERING:
            receiver = ast.unparse(node.value).rpartition(".")[2].lstrip("_")
            if receiver == "request":
                yield node.lineno, f"{ast.unparse(node)}: answers are written by pkgd.web.respond"


_RULES: tuple[Callable[[Source], Iterator[Breach]], ...] = (_rooms, _relative, _libraries, _names, _files, _answers)
