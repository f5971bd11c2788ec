"""A source of advisories on this machine, which speaks as OSV does and knows one advisory."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

ADVISORY = "GHSA-0000-0000-0000"


class _Handler(BaseHTTPRequestHandler):
    package: str | None = None

    def do_POST(self) -> None:
        """`/v1/querybatch`."""
        queries = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        self._answer({"results": [self._known(one["package"]["name"]) for one in queries]})

    def do_GET(self) -> None:
        """`/v1/vulns/ID`."""
        package = {"ecosystem": "PyPI", "name": self.package}
        ranges = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "999.9"}]}]
        affected = [{"package": package, "ranges": ranges}]
        self._answer({"id": ADVISORY, "summary": "it breaks", "aliases": ["CVE-2000-1"], "affected": affected})

    def _known(self, name: str) -> object:
        return {"vulns": [{"id": ADVISORY, "modified": "2026-01-01T00:00:00Z"}]} if name == self.package else {}

    def _answer(self, value: object) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


@contextmanager
def knowing(package: str | None) -> Iterator[str]:
    """Such a source, which knows the advisory against a distribution, or against none; gives its URL."""
    handler = type("Handler", (_Handler,), {"package": package})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
