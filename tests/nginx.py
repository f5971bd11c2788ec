"""nginx for the length of a block, as suites need it: in the foreground, with all of its files in one folder."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.tools import Daemon, running

__all__ = ["configuration", "nginx"]

_CONFIG = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/pid;
error_log stderr warn;
events {{ worker_connections 512; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        {server}
    }}
}}
"""


def configuration(folder: Path, *server: str) -> str:
    """The text of a configuration with one server.

    :param folder: for all that nginx writes.
    :param server: the lines of its block.
    """
    return _CONFIG.format(folder=folder, server="\n        ".join(server))


@contextmanager
def nginx(folder: Path, *server: str) -> Iterator[Daemon]:
    """nginx for the block; it may take a moment until it listens.

    :param server: see `configuration`.
    """
    file = folder / "nginx.conf"
    file.write_text(configuration(folder, *server))
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(file)]
    with running(Daemon("nginx", command, folder / "log")) as daemon:
        yield daemon
