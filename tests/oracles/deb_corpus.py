"""Debian's own packages as a corpus: its indices, and a moderate number of files, by apt and without a change to the
machine.

What the indices say of 60,000 packages is as good as their files, once it is put into packages again: every field
of every control file is in them, and every description in Translation-en.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random

from tests.oracles.sources import CACHE, NotAvailable

__all__ = ["EDGE_CASES", "Fields", "control_text", "download", "dsc_text", "index", "stanzas", "translations"]

# A stanza: each field's text, from the colon on.
Fields = dict[str, str]

# Packages with something odd about them: epochs, long fields and names, no usual fields, text beyond ASCII.
EDGE_CASES = tuple(
    """
    apcalc task-dutch-kde-desktop x86info librust-winapi-dev fonts-sil-gentium libstdc++-arm-none-eabi-dev gcc-multilib
    podman-docker kanadic diod node-write med-bio libmono-cil-dev crossbuild-essential-i386 base-files init
    python3-yara default-jdk python3-nopie hello
    """.split()  # noqa: SIM905
)

_PLACE = CACHE / "debian"
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_MIRROR = "http://deb.debian.org/debian"
_SUITE = "bookworm"
# Fields of Packages and Sources that dak wrote.
_ADDED = frozenset(["Filename", "Size", "MD5sum", "SHA1", "SHA256", "Description-md5", "Directory"])
# Bytes of packages: what is tiny, and what is too large to be taken.
_TINY = 20_000
_LARGE = 2_000_000
# apt-get says nothing until it has downloaded all that it is asked for.
_AT_ONCE = 100


def index(kind: str) -> Iterator[Fields]:
    """The stanzas of Debian's `Packages`, `Sources` or `Translation-en`.

    :raises NotAvailable: if apt cannot get them.
    """
    yield from stanzas(_list(kind).read_text(encoding="utf-8"))


def translations() -> dict[str, str]:
    """Descriptions by their hash, each as the control file has it."""
    return {fields["Description-md5"].strip(): fields["Description-en"] for fields in index("Translation-en")}


def _list(kind: str) -> Path:
    found = list((_PLACE / "apt/lists").glob(f"*_{kind}"))
    if not found:
        _apt("update")
        found = list((_PLACE / "apt/lists").glob(f"*_{kind}"))
    if not found:
        raise NotAvailable(f"apt-get update: no {kind} came")
    return found[0]


def stanzas(text: str) -> Iterator[Fields]:
    """The simplest reading that there is: what these lists are made of is known."""
    for stanza in text.split("\n\n"):
        fields, name = {}, ""
        for line in stanza.strip("\n").split("\n"):
            if line.startswith((" ", "\t")):
                fields[name] += "\n" + line
            elif line:
                name, _, value = line.partition(":")
                fields[name] = value
        if fields:
            yield fields


def control_text(fields: Fields, descriptions: dict[str, str]) -> bytes:
    """The control file that a stanza of Packages was made of."""
    own = {name: value for name, value in fields.items() if name not in _ADDED}
    own["Description"] = descriptions.get(fields["Description-md5"].strip(), own["Description"])
    return _written(own)


def dsc_text(fields: Fields) -> tuple[str, bytes]:
    """The .dsc that a stanza of Sources was made of, less its signature; and its name."""
    own = {("Source" if name == "Package" else name): value for name, value in fields.items() if name not in _ADDED}
    own.pop("Priority", None)
    name = next(line.split()[-1] for line in own["Files"].split("\n") if line.endswith(".dsc"))
    for listed in ("Files", "Checksums-Sha1", "Checksums-Sha256"):
        if listed in own:
            own[listed] = "\n".join(line for line in own[listed].split("\n") if not line.endswith(".dsc"))
    return name, _written(own)


def _written(fields: Fields) -> bytes:
    return "".join(f"{name}:{value}\n" for name, value in fields.items()).encode()


def download(count: int) -> list[Path]:
    """The edge cases, and other packages spread over all sections; each is downloaded once.

    :raises NotAvailable: if not all came.
    """
    wanted = _chosen(count)
    place = _PLACE / "debs"
    place.mkdir(parents=True, exist_ok=True)
    absent = sorted(set(wanted) - _downloaded(place).keys())
    for start in range(0, len(absent), _AT_ONCE):
        _apt("download", *absent[start : start + _AT_ONCE])
    found = _downloaded(place)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise NotAvailable(
            f"apt-get download: {len(missing)} packages did not come, {', '.join(missing[:5])} among them"
        )
    return sorted({found[name] for name in wanted})


def _chosen(count: int) -> list[str]:
    """The edge cases and so many others: of each section in turn, two that are tiny, then one that is not."""
    chance = Random(3)
    by_section: dict[str, tuple[list[str], list[str]]] = {}
    for fields in index("Packages"):
        name, size = fields["Package"].strip(), int(fields["Size"])
        if size < _LARGE and name not in EDGE_CASES:
            by_section.setdefault(fields["Section"], ([], []))[size >= _TINY].append(name)
    for both in by_section.values():
        for names in both:
            chance.shuffle(names)
    chosen: list[str] = []
    while len(chosen) < count and any(map(any, by_section.values())):
        for section in sorted(by_section):
            tiny, others = by_section[section]
            chosen += [names.pop() for names in (tiny, tiny, others) if names]
    return [*EDGE_CASES, *chosen[:count]]


def _downloaded(place: Path) -> dict[str, Path]:
    return {path.name.partition("_")[0]: path for path in sorted(place.glob("*.deb"))}


def _apt(*command: str) -> None:
    apt = _PLACE / "apt"
    for directory in ("lists/partial", "cache/archives/partial"):
        (apt / directory).mkdir(parents=True, exist_ok=True)
    signed = f"[signed-by={_KEYRING}] {_MIRROR} {_SUITE} main\n"
    (apt / "sources.list").write_text(f"deb {signed}deb-src {signed}")
    settings = {
        "Dir::Etc::sourcelist": f"{apt}/sources.list",
        "Dir::Etc::sourceparts": "-",
        "Dir::State::lists": f"{apt}/lists",
        "Dir::Cache": f"{apt}/cache",
        "Acquire::Languages": "en",
        "Acquire::GzipIndexes": "false",
        "APT::Architecture": "amd64",
        "APT::Sandbox::User": "",
    }
    options = [part for name, value in settings.items() for part in ("-o", f"{name}={value}")]
    environment = {**os.environ, "LC_ALL": "C.UTF-8"}
    place = _PLACE / "debs"
    place.mkdir(parents=True, exist_ok=True)
    done = _run(["apt-get", "-q", *options, *command], place, environment)
    if done.returncode:
        raise NotAvailable(f"apt-get {command[0]}: {done.stderr.strip()[-500:]}")


def _run(command: Sequence[str], place: Path, environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=place, env=environment, capture_output=True, text=True)
