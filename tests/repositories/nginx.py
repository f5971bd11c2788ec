"""nginx beside the servers of this suite: files of a folder, or TLS before a server that speaks none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.certificates import Certificates
from tests.live.tools import Daemon, running
from tests.repositories.web import Web

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
        listen 127.0.0.1:{port}{tls};
        {server}
    }}
}}
"""


@contextmanager
def serving_files(folder: Path, port: int, root: Path) -> Iterator[Web]:
    """The files below `root`, by plain HTTP, as nginx serves them by default."""
    server = f"default_type application/octet-stream; location = /health {{ return 200; }} root {root};"
    with _running(
        folder, _CONFIG.format(folder=folder, port=port, tls="", server=server), Web("127.0.0.1", port)
    ) as web:
        yield web


@contextmanager
def speaking_tls(folder: Path, port: int, certificates: Certificates, back: str, *headers: str) -> Iterator[Web]:
    """A proxy with TLS before `back`, HOST:PORT.

    :param headers: what `proxy_set_header` is to set; without any, the server sees nginx's own Host.
    """
    lines = [
        f"ssl_certificate {certificates.chain}; ssl_certificate_key {certificates.key}; client_max_body_size 0;",
        f"location / {{ proxy_pass http://{back}; proxy_http_version 1.1; proxy_request_buffering off;",
        *(f"proxy_set_header {one};" for one in headers),
        "}",
    ]
    configuration = _CONFIG.format(folder=folder, port=port, tls=" ssl", server="\n        ".join(lines))
    with _running(folder, configuration, Web("127.0.0.1", port, certificates.authority)) as web:
        yield web


@contextmanager
def _running(folder: Path, configuration: str, web: Web) -> Iterator[Web]:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "nginx.conf").write_text(configuration)
    command = ["nginx", "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with running(Daemon("nginx", command, folder / "log")) as daemon:
        daemon.wait_until(lambda: web.answers("/health"))
        yield web
