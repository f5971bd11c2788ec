"""nginx in front of the server, started by hand in a directory of its own and as transparent as it can be made."""

from __future__ import annotations

import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

from tests.crash.server import NotReady
from tests.debian import install
from tests.hostile.conversation import UPSTREAM_STATUS

_CONFIGURATION = """
daemon off;
worker_processes 1;
pid {directory}/nginx.pid;
error_log {directory}/error.log info;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    client_body_temp_path {directory}/body;
    proxy_temp_path {directory}/proxy;
    fastcgi_temp_path {directory}/fastcgi;
    uwsgi_temp_path {directory}/uwsgi;
    scgi_temp_path {directory}/scgi;
    upstream server {{ server 127.0.0.1:{upstream}; keepalive 8; }}
    server {{
        listen 127.0.0.1:{port};
        client_max_body_size 0;
        client_header_timeout 5s;
        client_body_timeout 60s;
        large_client_header_buffers 8 128k;
        ignore_invalid_headers off;
        underscores_in_headers on;
        merge_slashes off;
        absolute_redirect off;
        location / {{
            proxy_pass http://server;
            proxy_http_version 1.1;
            proxy_request_buffering off;
            proxy_buffering off;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_next_upstream off;
            add_header {mark} $upstream_status always;
        }}
    }}
}}
"""


class Edge:
    """One nginx process that passes everything on to the server at `upstream`."""

    def __init__(self, port: int, upstream: int, directory: Path) -> None:
        self.port = port
        self._directory = directory
        self._upstream = upstream
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start nginx and wait until it accepts connections."""
        program = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")
        if program is None:
            install(["nginx-light"])
            program = "/usr/sbin/nginx"
        self._directory.mkdir(parents=True)
        configuration = self._directory / "nginx.conf"
        values = {"directory": self._directory, "port": self.port, "upstream": self._upstream, "mark": UPSTREAM_STATUS}
        configuration.write_text(_CONFIGURATION.format(**values))
        command = [
            program,
            "-p",
            str(self._directory),
            "-e",
            str(self._directory / "error.log"),
            "-c",
            str(configuration),
        ]
        self._process = subprocess.Popen(command)
        deadline = time.monotonic() + 10
        while not self._accepts():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise NotReady(f"nginx did not start: {(self._directory / 'error.log').read_text()}")
            time.sleep(0.02)

    def stop(self) -> None:
        """End nginx."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()

    def upstream_errors(self) -> list[str]:
        """What nginx had to say about the server behind it, such as answers it could not read."""
        lines = (self._directory / "error.log").read_text(errors="replace").splitlines()
        return [line for line in lines if "upstream" in line and "[error]" in line]

    def _accepts(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
