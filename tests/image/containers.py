"""The images, run by podman and by the Docker engine: read-only, without capabilities."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tests.live.tools import run

_CONFINED = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "host")
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1024:1024")


class Container:
    """A container of an image; `program` is how its runtime's commands begin."""

    def __init__(self, program: Sequence[str], image: str, *options: str) -> None:
        self._program = program
        self._said = ""
        self._id = run(*program, "run", "--detach", *_CONFINED, *_LIMITS, *options, image).strip()

    def healthcheck(self) -> None:
        """See `Running`."""
        run(*self._program, "exec", self._id, "/usr/bin/pkgd", "healthcheck")

    def process(self) -> int:
        """See `Running`."""
        return int(self._state()["Pid"])

    def stop(self) -> int:
        """See `Running`."""
        run(*self._program, "stop", "--time", "20", self._id)
        status = int(self._state()["ExitCode"])
        self._said = self.log()
        run(*self._program, "rm", "--force", "--volumes", self._id)
        return status

    def log(self) -> str:
        """See `Running`."""
        return self._said or run("sh", "-c", f"{' '.join(self._program)} logs {self._id} 2>&1")

    def _state(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(run(*self._program, "inspect", self._id))[0]["State"]
        return found
