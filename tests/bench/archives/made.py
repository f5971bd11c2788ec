"""Small packages in any number, each with its own name; what indices say of one is about as long as of Debian's own.

Names are hashes of numbers, so that a package that is added stands anywhere in the indices, and not at their end.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pkgd.formats import rpmtags as tags
from tests.formats import debs, rpms

__all__ = ["MAKERS", "made", "name_of"]

_FILES = 10
_DEPENDENCIES = [(f"libdep{number}", f"1.{number}") for number in range(8)]
_DESCRIPTION = """\
 This is its long description.
 .
 It has several lines so that the stanza is about as long as one of Debian's,
 which has some 800 bytes, its hashes among them.
"""


def name_of(number: int) -> str:
    """What a package is called."""
    return f"p{hashlib.sha256(str(number).encode()).hexdigest()[:10]}"


def made(kind: str, folder: Path, numbers: range) -> Iterator[Path]:
    """Packages as files, which are made unless they are there.

    :param kind: of `MAKERS`.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        file_name, maker = MAKERS[kind]
        path = folder / file_name.format(name_of(number))
        if not path.exists():
            path.write_bytes(maker(name_of(number)))
        yield path


def _deb(name: str) -> bytes:
    control = {
        "Package": name,
        "Version": "1.0-1",
        "Architecture": "amd64",
        "Maintainer": "Bench <bench@example.org>",
        "Installed-Size": "12",
        "Depends": ", ".join(f"{one} (>= {version})" for one, version in _DEPENDENCIES),
        "Section": "utils",
        "Priority": "optional",
        "Homepage": f"https://example.org/{name}",
        "Description": f"benchmark package {name}\n{_DESCRIPTION.rstrip()}",
    }
    text = "".join(f"{field}: {value}\n" for field, value in control.items()).encode()
    return debs.deb(text, compression="gz", data=_data(), data_compression="gz")


@cache
def _data() -> bytes:
    return debs.data_tar(b"./", b"./usr/", *(b"./usr/share/file%d" % number for number in range(_FILES)))


def _rpm(name: str) -> bytes:
    paths = [f"/usr/bin/{name}", *(f"/usr/share/{name}/file{number}" for number in range(_FILES))]
    needed = [(one, 12, version) for one, version in _DEPENDENCIES]
    return rpms.rpm(
        {
            tags.NAME: rpms.string(name),
            tags.ARCH: rpms.string("x86_64"),
            tags.SUMMARY: rpms.i18n(f"benchmark package {name}"),
            tags.DESCRIPTION: rpms.i18n(_DESCRIPTION),
            tags.SOURCE_RPM: rpms.string(f"{name}-1.0-1.src.rpm"),
            **rpms.dependencies(tags.PROVIDES, (name, 8, "1.0-1"), (f"{name}(x86-64)", 8, "1.0-1")),
            **rpms.dependencies(tags.REQUIRES, *needed, ("/bin/sh", 1 << 8, "")),
            **rpms.files(*paths),
            tags.CHANGELOG_TIME: rpms.int32(1690000000),
            tags.CHANGELOG_NAME: rpms.strings("Bench <bench@example.org> - 1.0-1"),
            tags.CHANGELOG_TEXT: rpms.strings("- built"),
        },
        payload=_payload(),
    )


@cache
def _payload() -> bytes:
    return gzip.compress(b"payload", mtime=0)


# Kind of package -> how its files are called, and what makes them.
MAKERS = {"deb": ("{}_1.0-1_amd64.deb", _deb), "rpm": ("{}-1.0-1.x86_64.rpm", _rpm)}
