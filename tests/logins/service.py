"""A back end as a process of its own: `python -m tests.logins.service --port PORT [--tls FILE]`.

It does what it is told at `/-/tell`: users with their passwords and what they are answered, the keys that it publishes,
and how it misbehaves. `/-/seen` lists all other requests, with every header.
"""

from __future__ import annotations

import argparse
import json
import ssl
import time
from base64 import b64decode
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

STATE: dict[str, Any] = {"users": {}, "documents": {}, "always": None}
SEEN: list[dict[str, Any]] = []


class Service(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Documents, and back ends that are asked by GET."""
        self._serve(b"")

    def do_POST(self) -> None:
        """What it is told, and questions."""
        self._serve(self.rfile.read(int(self.headers.get("Content-Length", "0"))))

    def log_message(self, format: str, *args: Any) -> None:
        """Silence."""

    def _serve(self, body: bytes) -> None:
        if self.path == "/-/tell":
            STATE.update(json.loads(body))
            SEEN.clear()
            return self._answer(200, b"{}")
        if self.path == "/-/seen":
            return self._answer(200, json.dumps(SEEN).encode())
        SEEN.append(
            {"method": self.command, "path": self.path, "headers": dict(self.headers), "body": body.decode("latin-1")}
        )
        if self.path in STATE["documents"]:
            return self._answer(200, STATE["documents"][self.path].encode())
        if self.path != "/login":
            return self._answer(404, b"not here", "text/plain")
        if STATE["always"] is not None:
            return self._misbehave(STATE["always"])
        user, _, password = (
            b64decode(self.headers.get("Authorization", "").removeprefix("Basic ")).decode().partition(":")
        )
        known = STATE["users"].get(user)
        if known is None or known["password"] != password:
            return self._answer(401, b"no", "text/plain")
        # What depends on what the user wants to do is told by the text of the scopes.
        scopes = " ".join(json.loads(body or b"{}").get("scopes", ()))
        self._answer(200, known.get("answers", {}).get(scopes, known["answer"]).encode())

    def _misbehave(self, how: dict[str, Any]) -> None:
        """Answer with what was told, perhaps slowly."""
        data = how.get("body", "").encode() * how.get("times", 1)
        if "drip" not in how:
            return self._answer(how["status"], data, how.get("kind", "application/json"), how.get("headers", {}))
        self._begin(how["status"], len(data), "application/json", {})
        for at in range(len(data)):
            try:
                self.wfile.write(data[at : at + 1])
                self.wfile.flush()
            except OSError:
                return
            time.sleep(how["drip"])

    def _answer(
        self, status: int, data: bytes, kind: str = "application/json", headers: dict[str, str] | None = None
    ) -> None:
        self._begin(status, len(data), kind, headers or {})
        self.wfile.write(data)

    def _begin(self, status: int, length: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(length), **headers}.items():
            self.send_header(name, value)
        self.end_headers()


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(prog="python -m tests.logins.service")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--tls", help="a PEM file with a key and its certificate")
    options = parser.parse_args()
    server = ThreadingHTTPServer(("127.0.0.1", options.port), Service)
    server.daemon_threads = True
    if options.tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.tls)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
