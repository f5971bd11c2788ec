"""nginx beside the servers of this suite: files of a folder, or TLS before a server that speaks none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.live.certificates import Certificates
from tests.nginx import nginx
from tests.repositories.web import Web


@contextmanager
def serving_files(folder: Path, port: int, root: Path) -> Iterator[Web]:
    """The files below `root`, by plain HTTP, as nginx serves them by default."""
    server = f"default_type application/octet-stream; location = /health {{ return 200; }} root {root};"
    with _running(folder, Web("127.0.0.1", port), f"listen 127.0.0.1:{port};", server) as web:
        yield web


@contextmanager
def speaking_tls(folder: Path, port: int, certificates: Certificates, back: str, *headers: str) -> Iterator[Web]:
    """A proxy with TLS before `back`, HOST:PORT.

    :param headers: what `proxy_set_header` is to set; without any, the server sees nginx's own Host.
    """
    lines = [
        f"listen 127.0.0.1:{port} ssl;",
        f"ssl_certificate {certificates.chain}; ssl_certificate_key {certificates.key}; client_max_body_size 0;",
        f"location / {{ proxy_pass http://{back}; proxy_http_version 1.1; proxy_request_buffering off;",
        *(f"proxy_set_header {one};" for one in headers),
        "}",
    ]
    with _running(folder, Web("127.0.0.1", port, certificates.authority), *lines) as web:
        yield web


@contextmanager
def _running(folder: Path, web: Web, *server: str) -> Iterator[Web]:
    folder.mkdir(parents=True, exist_ok=True)
    with nginx(folder, *server) as daemon:
        daemon.wait_until(lambda: web.answers("/health"))
        yield web
