"""The executable in a root that has glibc and nothing else: no Python, no shell, read-only but for a tmpfs."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
from pathlib import Path

from tests.live.tools import run

USER = 65532
_PR_CAPBSET_DROP, _PR_SET_NO_NEW_PRIVS = 24, 38
_CONFIG = "server: {listen: ['tcp:8080']}\nstate_dir: /tmp/state\nauth: {mode: none}\n"


class EmptyRoot:
    """Such a root; `tmpfs` are the options of the one at /tmp, or None for none."""

    def __init__(self, folder: Path, executable: Path, tmpfs: str | None = "mode=1777") -> None:
        self.folder = folder
        folder.mkdir()
        run("mount", "-t", "tmpfs", "tmpfs", str(folder))
        for name in ("proc", "tmp", "lib64", "dev"):
            (folder / name).mkdir()
        for library in ("libc.so.6", "libm.so.6", "libdl.so.2", "libpthread.so.0", "librt.so.1", "libutil.so.1"):
            self._copy(library)
        loader = Path("/lib64/ld-linux-x86-64.so.2")
        shutil.copy(loader.resolve(), folder / "lib64" / loader.name)
        shutil.copy(executable, folder / "pkgd")
        (folder / "pkgd.yaml").write_text(_CONFIG)
        (folder / "dev/null").touch()
        run("mount", "--bind", "/dev/null", str(folder / "dev/null"))
        run("mount", "-t", "proc", "proc", str(folder / "proc"))
        if tmpfs is not None:
            run("mount", "-t", "tmpfs", "-o", tmpfs, "tmpfs", str(folder / "tmp"))
        run("mount", "-o", "remount,ro", str(folder))

    def command(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Run pkgd in there, as nobody's user, without any capability."""
        libc = ctypes.CDLL(None)

        def confine() -> None:
            os.chroot(self.folder)
            os.chdir("/")
            for capability in range(64):
                libc.prctl(_PR_CAPBSET_DROP, capability, 0, 0, 0)
            os.setgroups([])
            os.setgid(USER)
            os.setuid(USER)
            libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)

        output = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        return subprocess.Popen(["/pkgd", *arguments], env={}, preexec_fn=confine, **output)

    def said(self, *arguments: str) -> tuple[int, str]:
        """Exit status and output of a command."""
        with self.command(*arguments) as process:
            output, _ = process.communicate(timeout=60)
        return process.returncode, output.decode()

    def remove(self) -> None:
        """Undo the mounts."""
        run("umount", "--recursive", "--lazy", str(self.folder))

    def _copy(self, library: str) -> None:
        found = Path(f"/lib/x86_64-linux-gnu/{library}")
        target = self.folder / found.relative_to("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(found.resolve(), target)


class Alone:
    """pkgd, running in such a root."""

    def __init__(self, root: EmptyRoot) -> None:
        self._root = root
        self._process = root.command("serve", "-c", "/pkgd.yaml")
        self._said = ""

    def healthcheck(self) -> None:
        """See `Running`."""
        status, said = self._root.said("healthcheck", "-c", "/pkgd.yaml")
        assert status == 0, said

    def process(self) -> int:
        """See `Running`."""
        return self._process.pid

    def stop(self) -> int:
        """See `Running`."""
        self._process.send_signal(signal.SIGTERM)
        output, _ = self._process.communicate(timeout=60)
        self._said = output.decode()
        return self._process.returncode

    def log(self) -> str:
        """See `Running`."""
        return self._said
