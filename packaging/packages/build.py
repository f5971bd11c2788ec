#!/usr/bin/env python3
"""Makes pkgd's own .deb and .rpm from the directory that PyInstaller has built.

    build.py [--onedir DIRECTORY] [--output DIRECTORY] [--version VERSION] [--quick]

Both packages have the same files, laid out here once; `dpkg-deb` and `rpmbuild` pack them. The version is what the
program says of itself. The same program gives the same packages, to the byte: all files have the time
`SOURCE_DATE_EPOCH`, or else that of the commit, and belong to root.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from email.utils import formatdate
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
MAINTAINER = "The pkgd maintainers <pkgd@localhost>"
# Of the packaging; a new version begins with 1 again.
REVISION = "1"
CHANGELOG = """\
pkgd ({version}) stable; urgency=medium

  * Release {version}; /usr/share/doc/pkgd tells what is new.

 -- {maintainer}  {date}
"""


def run(*command: str, epoch: int | None = None) -> str:
    """Run a program to its end."""
    environment = dict(os.environ, LC_ALL="C.UTF-8", TZ="UTC")
    if epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = str(epoch)
    done = subprocess.run(command, env=environment, capture_output=True, text=True)  # noqa: S603
    if done.returncode:
        raise SystemExit(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def source_date() -> int:
    """The time that every file has: what the caller says, or that of the last commit."""
    said = os.environ.get("SOURCE_DATE_EPOCH")
    return int(said or run("git", "-c", f"safe.directory={ROOT}", "-C", str(ROOT), "log", "-1", "--format=%ct"))


def needed_glibc(onedir: Path) -> str:
    """The oldest C library that has every symbol which the program's binaries ask for by version."""
    versions = [(2, 0)]
    for path in onedir.rglob("*"):
        if path.is_file() and (data := path.read_bytes()).startswith(b"\x7fELF"):
            versions += [(int(a), int(b)) for a, b in re.findall(rb"GLIBC_(\d+)\.(\d+)\b", data)]
    return ".".join(map(str, max(versions)))


def stage(onedir: Path, tree: Path) -> None:
    """Lay out what both packages have below `tree`."""
    shutil.copytree(onedir, tree / "usr/lib/pkgd", symlinks=True)
    links = tree / "usr/bin"
    links.mkdir(parents=True)
    for name in ("pkgd", "docker-credential-pkgd"):
        (links / name).symlink_to("../lib/pkgd/pkgd")
    documents = sorted((ROOT / "docs").glob("*.md"))
    documentation = "usr/share/doc/pkgd"
    files = {
        HERE / "pkgd.yaml": "etc/pkgd",
        ROOT / "packaging/systemd/pkgd.service": "usr/lib/systemd/system",
        ROOT / "packaging/systemd/pkgd.socket": "usr/lib/systemd/system",
        HERE / "copyright": documentation,
        **dict.fromkeys(documents, documentation),
    }
    for source, folder in files.items():
        (tree / folder).mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, tree / folder / source.name)
    shutil.copyfile(onedir.parent / "pkgd.licences.txt", tree / documentation / "THIRD-PARTY-LICENCES")
    (tree / "etc/pkgd/credentials").mkdir()
    manual = tree / "usr/share/man/man8/pkgd.8.gz"
    manual.parent.mkdir(parents=True)
    manual.write_bytes(_gzip((HERE / "pkgd.8").read_bytes()))


def settle(tree: Path, epoch: int) -> None:
    """Give everything its mode and its time: programs may be run by all, secrets are for root."""
    for path in [tree, *tree.rglob("*")]:
        if not path.is_symlink():
            runnable = path.is_dir() or path == tree / "usr/lib/pkgd/pkgd" or path.parent.name == "DEBIAN"
            runnable = runnable and path.name not in ("control", "conffiles")
            path.chmod(0o755 if runnable else 0o644)
    (tree / "etc/pkgd/credentials").chmod(0o700)
    for path in [tree, *tree.rglob("*")]:
        os.utime(path, (epoch, epoch), follow_symlinks=False)


def build_deb(tree: Path, output: Path, version: str, glibc: str, epoch: int, quick: bool) -> Path:
    """Pack the tree as a .deb."""
    documentation = tree / "usr/share/doc/pkgd"
    date = formatdate(epoch)
    changelog = CHANGELOG.format(version=version, maintainer=MAINTAINER, date=date)
    (documentation / "changelog.Debian.gz").write_bytes(_gzip(changelog.encode()))
    overrides = tree / "usr/share/lintian/overrides"
    overrides.mkdir(parents=True)
    shutil.copyfile(HERE / "debian/lintian-overrides", overrides / "pkgd")
    size = sum(-(-path.lstat().st_size // 1024) for path in tree.rglob("*"))
    control = tree / "DEBIAN"
    control.mkdir()
    architecture = run("dpkg", "--print-architecture").strip()
    words = {"version": version, "maintainer": MAINTAINER, "size": size, "glibc": glibc, "architecture": architecture}
    (control / "control").write_text((HERE / "debian/control").read_text().format(**words))
    (control / "conffiles").write_text("/etc/pkgd/pkgd.yaml\n")
    for script in ("postinst", "prerm", "postrm"):
        shutil.copyfile(HERE / "debian" / script, control / script)
    settle(tree, epoch)
    target = output / f"pkgd_{version}_{architecture}.deb"
    # One thread: with more, xz makes other bytes on a machine with another number of processors.
    form = ("-Zgzip", "-z1") if quick else ("-Zxz", "--threads-max=1")
    run("dpkg-deb", "--root-owner-group", *form, "--build", str(tree), str(target), epoch=epoch)
    return target


def build_rpm(tree: Path, output: Path, version: str, glibc: str, epoch: int, quick: bool) -> Path:
    """Pack the tree as a .rpm."""
    shutil.copyfile(ROOT / "LICENSE", tree / "usr/share/doc/pkgd/LICENSE")
    settle(tree, epoch)
    release, _, revision = version.rpartition("-")
    with tempfile.TemporaryDirectory() as work:
        listed = Path(work, "files")
        listed.write_text("\n".join(["%defattr(-,root,root,-)", *_listed(tree)]) + "\n")
        defined = {
            "_topdir": work,
            "stage": tree,
            "listed": listed,
            "glibc": glibc,
            "payload": f"w{1 if quick else 19}.zstdio",
        }
        defined |= {"pkgd_version": release, "pkgd_revision": revision}
        words = [word for name, value in defined.items() for word in ("--define", f"{name} {value}")]
        architecture = platform.machine()  # rpm has the kernel's names
        run("rpmbuild", "-bb", "--target", architecture, *words, str(HERE / "pkgd.spec"), epoch=epoch)
        name = f"pkgd-{version}.{architecture}.rpm"
        shutil.move(Path(work, f"RPMS/{architecture}", name), output / name)
    return output / name


def _listed(tree: Path) -> list[str]:
    """The lines of %files: every file, and the directories that are pkgd's own."""
    own = {"etc/pkgd", "usr/lib/pkgd", "usr/share/doc/pkgd"}
    lines = []
    for path in sorted(tree.rglob("*")):
        name = path.relative_to(tree).as_posix()
        is_own = name in own or any(name.startswith(f"{one}/") for one in own)
        if path.is_dir() and not path.is_symlink():
            if is_own:
                lines.append(f'%dir "/{name}"')
        elif name == "etc/pkgd/pkgd.yaml":
            lines.append(f'%config(noreplace) "/{name}"')
        else:
            kind = "%doc " if name.startswith("usr/share/doc/") else ""
            lines.append(f'{kind}"/{name}"')
    return lines


def _gzip(data: bytes) -> bytes:
    return gzip.compress(data, 9, mtime=0)


def main() -> int:
    """Make both."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--onedir",
        type=Path,
        default=ROOT / "dist/pkgd-onedir",
        help="what PyInstaller has built; the licences are beside it",
    )
    parser.add_argument("--output", type=Path, default=ROOT / "dist", help="where the packages go")
    parser.add_argument("--version", help="another than the program's own, for tests of upgrades")
    parser.add_argument("--quick", action="store_true", help="compress little, for tests")
    options = parser.parse_args()
    program = options.onedir / "pkgd"
    if not program.exists():
        print(f"{program} is not there: make executable", file=sys.stderr)
        return 1
    number = options.version or json.loads(run(str(program), "version", "--json"))["version"]
    version, epoch, glibc = f"{number}-{REVISION}", source_date(), needed_glibc(options.onedir)
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pkgd-packages-") as scratch:
        for build in (build_deb, build_rpm):
            tree = Path(scratch, build.__name__)
            stage(options.onedir, tree)
            print(build(tree, options.output, version, glibc, epoch, options.quick))
    return 0


if __name__ == "__main__":
    sys.exit(main())
