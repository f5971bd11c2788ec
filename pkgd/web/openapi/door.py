"""`/api/openapi.json`: the same bytes for everybody, whatever the configuration."""

from __future__ import annotations

import hashlib

from pkgd.built import built
from pkgd.errors import Unsupported
from pkgd.web.openapi.document import make_document
from pkgd.web.request import Request
from pkgd.web.respond import header_block, not_modified, send_body, send_empty

__all__ = ["OpenApiDoor"]


class OpenApiDoor:
    """Answers for the one path; open to everybody, as the same is in pkgd's source."""

    path = b"/api/openapi.json"

    def __init__(self) -> None:
        self._data = make_document(built().version)
        self._etag = f'"{hashlib.sha256(self._data).hexdigest()}"'

    def handle(self, request: Request) -> None:
        """Send the document.

        :raises Unsupported: if something else is to be done with it.
        """
        request.route = "openapi"
        if request.method not in (b"GET", b"HEAD"):
            raise Unsupported("the document is read", ("GET", "HEAD"))
        headers = header_block(ETag=self._etag, Cache_Control="no-cache")
        if not_modified(request, self._etag):
            send_empty(request, 304, headers)
        else:
            send_body(request, 200, b"application/json", self._data, headers)
