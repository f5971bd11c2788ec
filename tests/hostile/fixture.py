"""What the corpus finds in the registry: one repository with a blob, a config, an image and some tags."""

from __future__ import annotations

import re

from tests.crash.content import CONFIG_TYPE, LAYER_TYPE, Descriptor, digest_of, image
from tests.crash.wire import Answer, Client
from tests.hostile.case import BLOB_DATA, CONFIG_DATA, REPOSITORY, SESSION, SESSION_ELSEWHERE, Step

_TAGS = ("latest", "a", "b", "c", "v1", "v2")
_UPLOADS = f"/v2/{REPOSITORY}/blobs/uploads/"
_OCTETS = {"Content-Type": "application/octet-stream"}


class NotPrepared(Exception):
    """The server refused an honest push."""


class Fixture:
    """The content, and fresh upload sessions for the cases that need one."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def push(self) -> None:
        """Push the content, as an honest client does."""
        config = Descriptor(CONFIG_TYPE, digest_of(CONFIG_DATA), len(CONFIG_DATA))
        layer = Descriptor(LAYER_TYPE, digest_of(BLOB_DATA), len(BLOB_DATA))
        manifest = image(config, [layer], "corpus")
        async with Client(self._port) as client:
            for data in (CONFIG_DATA, BLOB_DATA):
                location = _good(await client.request("POST", _UPLOADS, b""), 202).headers["location"]
                separator = "&" if "?" in location else "?"
                target = f"{location}{separator}digest={digest_of(data)}"
                _good(await client.request("PUT", target, data, _OCTETS), 201)
            for tag in _TAGS:
                target, headers = f"/v2/{REPOSITORY}/manifests/{tag}", {"Content-Type": manifest.media_type}
                _good(await client.request("PUT", target, manifest.data, headers), 201)

    async def sessions(self, steps: tuple[Step, ...]) -> dict[bytes, bytes]:
        """What the placeholders of a case stand for; opens a session only if the case names one."""
        if not any(isinstance(step, bytes) and (SESSION in step or SESSION_ELSEWHERE in step) for step in steps):
            return {}
        async with Client(self._port) as client:
            location = _good(await client.request("POST", _UPLOADS, b""), 202).headers["location"]
        path = re.sub(r"^https?://[^/]*", "", location).partition("?")[0]
        elsewhere = path.replace(REPOSITORY, "hostile/other")
        return {SESSION: path.encode(), SESSION_ELSEWHERE: elsewhere.encode()}


def _good(answer: Answer, status: int) -> Answer:
    if answer.status != status:
        raise NotPrepared(f"an honest request is answered with {answer}, expected {status}")
    return answer
