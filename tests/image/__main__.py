"""Run what `make image` made: alone in an empty root, by podman and by the Docker engine; then the counts."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.crash.server import DockerRegistry
from tests.image import bills
from tests.image.alone import Alone, EmptyRoot
from tests.image.containers import Container
from tests.image.trial import exercise, resident_mib
from tests.live import cell
from tests.live.containerd import running_containerd
from tests.live.images import Images
from tests.live.tools import Daemon, install, run, running, wait_for

DIST = Path(__file__).resolve().parents[2] / "dist"
MAX_EXECUTABLE, MAX_IMAGE, MAX_RESIDENT = 18_000_000, 22_000_000, 80.0


def main() -> int:
    """Run the suite and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.image", description=__doc__)
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return Suite(cell.furnish(options.inside)).run()
    install(["docker-registry", "podman", "skopeo", "runc", "dockerd", "docker", "containerd", "ip", "unshare"])
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-image-"))
    namespaces = ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc"]
    inside = [sys.executable, "-m", "tests.image", "--inside", str(scratch)]
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin", "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1"}
    try:
        return subprocess.run([*namespaces, *inside], env={**environment, "HOME": str(scratch)}).returncode
    finally:
        shutil.rmtree(scratch)


class Suite:
    """The cases, and their counts."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._image = Images(scratch / "images").small
        self._package = _package(scratch)
        self._archives = {kind: _archive(kind) for kind in ("", "-onedir")}
        self._passed = self._failed = 0

    def run(self) -> int:
        """Run all of them."""
        self._try("sizes", self._sizes)
        self._try("docker-registry beside it, no bar", self._peer)
        for kind, archive in self._archives.items():
            self._try(f"bill of materials, image{kind}", partial(bills.check, archive))
        self._try("alone in an empty root", self._alone)
        for tmpfs, words in ((None, "Read-only file system"), ("noexec", "mounted noexec"), ("size=20m", "MB free")):
            self._try(f"a sentence where /tmp is {tmpfs or 'read-only'}", partial(self._sentence, tmpfs, words))
        for kind in self._archives:
            self._try(f"podman, image{kind}", partial(self._podman, kind))
        try:
            with self._docker() as docker:
                for kind in self._archives:
                    self._try(f"docker, image{kind}", partial(self._in_docker, docker, kind))
        except Exception as error:
            self._report("docker starts", f"{error}", failed=True)
        print(f"{self._passed} passed, {self._failed} failed")
        return 1 if self._failed else 0

    def _try(self, name: str, case: Callable[[], str]) -> None:
        try:
            said = case()
        except Exception as error:  # whatever it is, it is this case's failure and no other's
            self._report(name, f"{type(error).__name__}: {error}", failed=True)
        else:
            self._report(name, said)

    def _report(self, name: str, said: str, failed: bool = False) -> None:
        self._failed += failed
        self._passed += not failed
        print(f"{'FAIL' if failed else 'ok  '} {name:45} {textwrap.indent(said, '     | ').lstrip(' |')}")

    def _sizes(self) -> str:
        executable = (DIST / "pkgd").stat().st_size
        images = [path.stat().st_size for path in self._archives.values()]
        said = (
            f"executable {executable / 1e6:.2f} of {MAX_EXECUTABLE / 1e6:.0f} MB, "
            f"images {', '.join(f'{one / 1e6:.2f}' for one in images)} of {MAX_IMAGE / 1e6:.0f} MB"
        )
        assert executable <= MAX_EXECUTABLE, said
        assert max(images) <= MAX_IMAGE, said
        return said

    def _serve(self, start: Callable[[], Alone | Container]) -> str:
        figures = exercise(start, self._image, self._package, self._scratch)
        assert figures.resident <= MAX_RESIDENT, f"{figures.resident:.1f} MiB resident"
        return f"ready after {figures.ready:.2f} s, {figures.resident:.1f} MiB resident"

    def _peer(self) -> str:
        peer = DockerRegistry(5999, self._scratch / "peer", self._scratch / "peer-logs")
        program = shutil.which("docker-registry")
        assert program is not None
        try:
            ready = peer.start()
            resident = resident_mib(peer.pid)
        finally:
            peer.stop()
        size = Path(program).stat().st_size / 1e6
        return f"executable {size:.1f} MB, ready after {ready:.2f} s, {resident:.1f} MiB resident"

    def _alone(self) -> str:
        root = EmptyRoot(self._scratch / "root", DIST / "pkgd")
        try:
            return self._serve(lambda: Alone(root))
        finally:
            root.remove()

    def _sentence(self, tmpfs: str | None, words: str) -> str:
        root = EmptyRoot(self._scratch / f"root-{tmpfs}", DIST / "pkgd", tmpfs and f"mode=1777,{tmpfs}")
        try:
            status, said = root.said("version")
        finally:
            root.remove()
        assert status not in (0, None), said
        assert words in said, said
        assert "TMPDIR" in said, said
        assert "PYI" not in said, said
        return said.splitlines()[1]

    def _podman(self, kind: str) -> str:
        folders = ("--root", str(self._scratch / "podman"), "--runroot", "/run/podman")
        program = ("podman", *folders, "--storage-driver=vfs", "--cgroup-manager=cgroupfs")
        image = run(*program, "pull", "--quiet", f"oci-archive:{self._archives[kind]}").strip()
        # podman gives read-only containers a /tmp unless told not to.
        options = ["--read-only-tmpfs=false"] if kind else []
        return self._serve(lambda: Container(program, image, *options))

    def _in_docker(self, program: tuple[str, ...], kind: str) -> str:
        archive, name = self._scratch / "docker.tar", f"pkgd:it{kind}"
        archive.unlink(missing_ok=True)
        run("skopeo", "copy", "--quiet", f"oci-archive:{self._archives[kind]}", f"docker-archive:{archive}:{name}")
        run(*program, "load", "--quiet", "--input", str(archive))
        return self._serve(lambda: Container(program, name))

    @contextmanager
    def _docker(self) -> Iterator[tuple[str, ...]]:
        folder = self._scratch / "docker"
        folder.mkdir()
        program = ("docker", "--host", f"unix://{folder}/docker.sock")
        roots = ["--data-root", f"{folder}/data", "--exec-root", f"{folder}/exec", "--pidfile", f"{folder}/pid"]
        network = ["--bridge=none", "--iptables=false", "--ip6tables=false"]
        with running_containerd(folder, cri=False) as containerd:
            command = ["dockerd", "--host", program[2], "--containerd", str(containerd.socket), *roots, *network]
            with running(Daemon("dockerd", command, folder / "dockerd.log")):
                wait_for(
                    "dockerd serves", lambda: subprocess.run([*program, "ps"], capture_output=True).returncode == 0
                )
                yield program


def _archive(kind: str) -> Path:
    found = [one for one in DIST.glob("pkgd-*.oci.tar") if one.name.endswith("-onedir.oci.tar") == bool(kind)]
    assert found, "make image has made none"
    return max(found, key=lambda one: one.stat().st_mtime)


def _package(scratch: Path) -> Path:
    control = scratch / "package" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    fields = "Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: A <a@example.com>\nDescription: hello\n"
    control.write_text(fields)
    run("dpkg-deb", "--build", "--root-owner-group", str(scratch / "package"), str(scratch / "hello_1_all.deb"))
    return scratch / "hello_1_all.deb"


if __name__ == "__main__":
    sys.exit(main())
