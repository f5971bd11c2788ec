"""nginx and HAProxy as a machine has them: with their files where they are by default."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.cookbook.village import Village
from tests.live.tools import Daemon, running


@contextmanager
def nginx(village: Village, configuration: str, ready: Callable[[], bool]) -> Iterator[None]:
    """nginx for the block, with Debian's own file, and one more below conf.d.

    :param ready: whether it serves.
    """
    for other in Path("/etc/nginx/sites-enabled").iterdir():
        other.unlink()
    with (
        village.installed({"/etc/nginx/conf.d/pkgd.conf": configuration}),
        running(Daemon("nginx", ["nginx", "-g", "daemon off;"], village.scratch / "nginx.log")) as daemon,
    ):
        daemon.wait_until(ready)
        yield


@contextmanager
def haproxy(village: Village, configuration: str, ready: Callable[[], bool]) -> Iterator[None]:
    """HAProxy for the block.

    :param ready: whether it serves.
    """
    path = "/etc/haproxy/haproxy.cfg"
    with (
        village.installed({path: configuration}),
        running(Daemon("haproxy", ["haproxy", "-W", "-f", path], village.scratch / "haproxy.log")) as daemon,
    ):
        daemon.wait_until(ready)
        yield
