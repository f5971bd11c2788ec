"""The root that pkgd runs in: what of Debian's packages it needs, users, and its own configuration.

No shell, no package manager; `/var/lib/dpkg/status.d` tells scanners what is in there, as distroless images do.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from layer import Entry

__all__ = ["base_entries", "program_entries"]

PACKAGES = ("base-files", "ca-certificates", "libc6", "netbase")
USER = 65532

# Of libc6: what the loader and Python link to, and what resolves names.
_LIBRARIES = (
    "ld-linux-*.so.*",
    "libc.so.6",
    "libm.so.6",
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
)
_RESOLVERS = ("libresolv.so.2", "libnss_files.so.2", "libnss_dns.so.2")

_TEXTS = {
    "etc/passwd": (
        "root:x:0:0:root:/root:/sbin/nologin\n"
        "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"
        f"nonroot:x:{USER}:{USER}:nonroot:/nonexistent:/sbin/nologin\n"
    ),
    "etc/group": f"root:x:0:\nnobody:x:65534:\nnonroot:x:{USER}:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nprotocols: files\nservices: files\n",
}


def base_entries(work: Path) -> list[Entry]:
    """The layer below pkgd, from Debian's packages, which are fetched into `work`."""
    unpacked = _unpack(work)
    found = [Entry.folder(name) for name in ("dev", "proc", "sys", "run", "root")]
    for pattern in (*_LIBRARIES, *_RESOLVERS):
        for library in sorted(unpacked.glob(f"lib/*-linux-gnu/{pattern}")):
            found.append(Entry.file(str(library.relative_to(unpacked)), library.read_bytes(), 0o755))
    # The loader's name, which is in every program: on amd64 in /lib64, on arm64 in /lib.
    for link in sorted([*unpacked.glob("lib64/*"), *unpacked.glob("lib/ld-linux-*")]):
        target = os.readlink(link)
        found.append(Entry.link(str(link.relative_to(unpacked)), target))
    roots = b"".join(file.read_bytes() for file in sorted(unpacked.glob("usr/share/ca-certificates/mozilla/*.crt")))
    found.append(Entry.file("etc/ssl/certs/ca-certificates.crt", roots))
    for name in ("etc/protocols", "etc/services", "etc/debian_version", "usr/lib/os-release"):
        found.append(Entry.file(name, (unpacked / name).read_bytes()))
    found.append(Entry.link("etc/os-release", "../usr/lib/os-release"))
    for name in PACKAGES:
        (archive,) = work.glob(f"{name}_*.deb")
        control = subprocess.run(["dpkg-deb", "--field", archive], check=True, capture_output=True).stdout  # noqa: S603
        found.append(Entry.file(f"var/lib/dpkg/status.d/{name}", control))
        copyright_file = f"usr/share/doc/{name}/copyright"
        found.append(Entry.file(copyright_file, (unpacked / copyright_file).read_bytes()))
    return found + [Entry.file(name, text.encode("ascii")) for name, text in _TEXTS.items()]


def program_entries(program: Path, texts: dict[str, Path]) -> list[Entry]:
    """The layer of pkgd: the executable with a `/tmp` to unpack into, or its folder, which needs none.

    `texts` are configuration and licences: where they are in the image, and where they are now.
    """
    found = [Entry.file(name, path.read_bytes()) for name, path in texts.items()]
    found.append(Entry.folder("var/lib/pkgd", 0o750, USER))
    if program.is_file():
        return [*found, Entry.folder("tmp", 0o1777), Entry.file("usr/bin/pkgd", program.read_bytes(), 0o755)]
    for path in sorted(program.rglob("*")):
        name = f"opt/pkgd/{path.relative_to(program)}"
        if path.is_symlink():
            found.append(Entry.link(name, os.readlink(path)))
        elif path.is_file():
            executable = path.stat().st_mode & 0o100
            found.append(Entry.file(name, path.read_bytes(), 0o755 if executable else 0o644))
    return [*found, Entry.link("usr/bin/pkgd", "/opt/pkgd/pkgd")]


def _unpack(work: Path) -> Path:
    shutil.rmtree(work, ignore_errors=True)
    unpacked = work / "root"
    unpacked.mkdir(parents=True)
    subprocess.run(["apt-get", "--quiet=2", "download", *PACKAGES], check=True, cwd=work)  # noqa: S603
    for archive in sorted(work.glob("*.deb")):
        subprocess.run(["dpkg-deb", "--extract", archive, unpacked], check=True)  # noqa: S603
    return unpacked
