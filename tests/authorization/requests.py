"""Every route, as a request: what it does, and what comes of it where nobody is asked who he is.

`needs` is written down by what a request does. In targets `{n}` is the repository's name, and
`{owner}` and `{group}` are its parts; `row` names the route in the
server's own tables, all of which have to be here (`test_tables`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from attrs import frozen

from pkgd.formats.oci import IMAGE
from tests.authorization.world import COMPS, DEB, EXTRA, LOOSE, MOVED, RPM
from tests.web.content import BLOB, BLOB_DIGEST, PLAIN, PLAIN_DIGEST, digest_of

__all__ = ["APT", "IMAGES", "MIRRORED", "NAMELESS", "RPMS", "Ask"]


@frozen
class Ask:
    """A request. `present` and `absent` are its statuses for a repository that is there, and for one that isn't.

    `undo` is how what it has done is undone. `source` is a repository whose blob it mounts: whoever may not pull
    that gets `otherwise`. `owned` says that it is about something that one person has begun, and nobody else finds.
    """

    row: tuple[str, str]
    method: str
    target: str
    needs: str
    present: int
    absent: int | None = None
    body: bytes = b""
    headers: Mapping[str, str] = {}
    undo: tuple[tuple[str, str, bytes], ...] = ()
    source: str | None = None
    otherwise: int = 0
    owned: bool = False
    ends: bool = False
    """Whether it ends the session that it is about."""


def _both(row: tuple[str, str], target: str, needs: str, present: int, absent: int | None = None) -> list[Ask]:
    return [Ask(row, method, target, needs, present, absent) for method in ("GET", "HEAD")]


_TYPE = {"Content-Type": IMAGE}
_MANIFEST = ("registry", "MANIFEST")
_MANIFESTS = "/v2/{n}/manifests/"
_BLOBS = "/v2/{n}/blobs/"
_UPLOADS = "/v2/{n}/blobs/uploads/"
_EXTRA_DIGEST, _MOVED_DIGEST, _LOOSE_DIGEST = digest_of(EXTRA), digest_of(MOVED), digest_of(LOOSE)
_EMPTY_DIGEST = digest_of(b"")
_BACK = (("PUT", f"{_MANIFESTS}latest", PLAIN), ("DELETE", f"{_MANIFESTS}{_MOVED_DIGEST}", b""))


def _put(target: str, needs: str, present: int, absent: int, data: bytes, *undo: tuple[str, str, bytes]) -> Ask:
    return Ask(_MANIFEST, "PUT", f"{_MANIFESTS}{target}", needs, present, absent, data, _TYPE, undo)


_NO_TAG = ("DELETE", f"{_MANIFESTS}new", b"")

IMAGES = [
    *_both(_MANIFEST, f"{_MANIFESTS}latest", "pull", 200, 404),
    *_both(_MANIFEST, f"{_MANIFESTS}{PLAIN_DIGEST}", "pull", 200, 404),
    *_both(_MANIFEST, f"{_MANIFESTS}none", "pull", 404, 404),
    _put("new", "push", 201, 404, PLAIN, _NO_TAG),
    _put(f"{PLAIN_DIGEST}?tag=new", "push", 201, 404, PLAIN, _NO_TAG),
    _put(PLAIN_DIGEST, "push", 201, 404, PLAIN),
    _put("latest", "push", 201, 404, PLAIN),
    _put("v1", "push", 201, 404, PLAIN),
    # With the manifest, the new tag goes. In a repository that is not there nothing moves, and the blobs are missing.
    _put("latest", "push overwrite", 201, 404, MOVED, *_BACK),
    _put(f"{_MOVED_DIGEST}?tag=latest", "push overwrite", 201, 404, MOVED, *_BACK),
    _put(f"{_MOVED_DIGEST}?tag=new&tag=latest", "push overwrite", 201, 404, MOVED, *_BACK),
    _put("v1", "push overwrite", 403, 404, MOVED),
    _put(f"{_MOVED_DIGEST}?tag=new&tag=v1", "push overwrite", 403, 404, MOVED),
    Ask(_MANIFEST, "DELETE", f"{_MANIFESTS}extra", "delete", 202, 404, undo=(("PUT", f"{_MANIFESTS}extra", EXTRA),)),
    Ask(
        *(_MANIFEST, "DELETE", f"{_MANIFESTS}{_EXTRA_DIGEST}", "delete", 202, 404),
        undo=(("PUT", f"{_MANIFESTS}extra", EXTRA),),
    ),
    Ask(_MANIFEST, "DELETE", f"{_MANIFESTS}v1", "delete", 403, 404),
    Ask(_MANIFEST, "DELETE", f"{_MANIFESTS}{PLAIN_DIGEST}", "delete", 403, 404),
    *_both(("registry", "BLOB"), f"{_BLOBS}{BLOB_DIGEST}", "pull", 200, 404),
    Ask(
        *(("registry", "BLOB"), "DELETE", f"{_BLOBS}{_LOOSE_DIGEST}", "delete", 202, 404),
        undo=(("POST", f"{_UPLOADS}?digest={_LOOSE_DIGEST}", LOOSE),),
    ),
    Ask(("registry", "BLOB"), "DELETE", f"{_BLOBS}{BLOB_DIGEST}", "delete", 403, 404),
    *_both(("registry", "TAGS"), "/v2/{n}/tags/list", "pull", 200, 404),
    *_both(("registry", "REFERRERS"), f"/v2/{{n}}/referrers/{PLAIN_DIGEST}", "pull", 200, 200),
    Ask(("registry", "UPLOADS"), "POST", _UPLOADS, "push", 202, 202),
    Ask(("registry", "UPLOADS"), "POST", f"{_UPLOADS}?digest={BLOB_DIGEST}", "push", 201, body=BLOB),
    *(
        Ask(
            *(("registry", "UPLOADS"), "POST", f"{_UPLOADS}?mount={BLOB_DIGEST}&from={area}/app", "push", 201),
            source=area,
            otherwise=202,
        )
        for area in ("public", "team", "closed")
    ),
    Ask(("registry", "UPLOAD"), "GET", "{session}", "push", 204, owned=True),
    Ask(("registry", "UPLOAD"), "PATCH", "{session}", "push", 202, owned=True),
    Ask(("registry", "UPLOAD"), "PUT", "{session}", "push", 400, owned=False),
    Ask(
        *(("registry", "UPLOAD"), "PUT", f"{{session}}?digest={_EMPTY_DIGEST}", "push", 201),
        undo=(("DELETE", f"{_BLOBS}{_EMPTY_DIGEST}", b""),),
        owned=True,
        ends=True,
    ),
    Ask(("registry", "UPLOAD"), "DELETE", "{session}", "push", 204, owned=True, ends=True),
    Ask(("registry", "UPLOAD"), "GET", f"{_UPLOADS}{'0' * 32}", "push", 404, 404),
    *_both(("registry", "DISCOVER"), "/v2/{n}/_oci/ext/discover", "enter", 200, 200),
]

NAMELESS = [
    *_both(("registry", "BASE"), "/v2/", "enter", 200),
    *_both(("registry", "BASE"), "/v2", "enter", 200),
    *_both(("registry", "DISCOVER"), "/v2/_oci/ext/discover", "enter", 200),
    *_both(("registry", "CATALOG"), "/v2/_catalog", "list", 200),
    *_both(("api", "/api/v1/packages"), "/api/v1/packages", "see", 200),
    *(Ask(("tokens", path), "GET", path, "log in", 200) for path in ("/auth/token", "/token", "/v2/token")),
    *_both(("tokens", "/auth/jwks"), "/auth/jwks", "", 200),
    *_both(("probes", "/health"), "/health", "", 200),
    *_both(("probes", "/ready"), "/ready", "", 503),
    *_both(("metrics", "/metrics"), "/metrics", "", 200),
    *_both(("openapi", "/api/openapi.json"), "/api/openapi.json", "", 200),
]


def _three_ways(row: str, rest: str) -> list[Ask]:
    """Reading from an upstream, which is named by a parameter, a header, or the path."""
    join = "&" if "?" in rest else "?"
    found = []
    for method in ("GET", "HEAD"):
        found += [
            Ask(("registry", row), method, f"/v2/library/alpine/{rest}{join}ns={{host}}", "pull", 200),
            Ask(
                *(("registry", row), method, f"/v2/library/alpine/{rest}", "pull", 200),
                headers={"X-Registry-Host": "{host}"},
            ),
            Ask(("registry", row), method, f"/v2/{{host}}/library/alpine/{rest}", "pull", 200),
        ]
    return found


MIRRORED = [
    *_three_ways("MANIFEST", "manifests/latest"),
    *_three_ways("MANIFEST", f"manifests/{PLAIN_DIGEST}"),
    *_three_ways("TAGS", "tags/list"),
    *_three_ways("REFERRERS", f"referrers/{PLAIN_DIGEST}"),
    Ask(("registry", "BLOB"), "GET", f"/v2/library/alpine/blobs/{BLOB_DIGEST}?ns={{host}}", "pull", 200),
    Ask(("registry", "BLOB"), "HEAD", f"/v2/library/alpine/blobs/{BLOB_DIGEST}?ns={{host}}", "pull", 200),
]

_HASH = hashlib.sha256(DEB).hexdigest()[:12]
_DEB_PATH = f"/apt/{{n}}/pool/main/h/hello/{_HASH}/hello_1.0_amd64.deb"
_DEB_BACK = (("PUT", "/apt/{n}/stable/main/hello_1.0_amd64.deb", DEB),)
_COPY = json.dumps({"source": "stable", "target": "stable", "name": "hello"}).encode()


def _apt(kind: str) -> tuple[str, str]:
    return ("apt", kind)


APT = [
    *_both(_apt("INDEX"), "/apt/{n}/dists/stable/Release", "pull", 200, 404),
    *_both(_apt("POOL"), _DEB_PATH, "pull", 200, 404),
    *_both(_apt("KEY"), "/apt/{n}/key.asc", "pull", 200, 404),
    *_both(_apt("KEY"), "/api/packages/{n}/debian/repository.key", "pull", 200, 404),
    *_both(_apt("SETUP"), "/apt/{n}/stable.sources", "pull", 200, 404),
    *_both(_apt("BASE"), "/apt/{n}/", "pull", 200, 404),
    Ask(_apt("UPLOAD"), "PUT", "/apt/{n}/stable/main/hello_1.0_amd64.deb", "push", 200, 404, DEB),
    Ask(_apt("UPLOAD"), "POST", "/apt/{n}/stable/main/hello_1.0_amd64.deb", "push", 200, 404, DEB),
    Ask(_apt("UPLOAD"), "PUT", "/api/packages/{n}/debian/pool/stable/main/upload", "push", 200, 404, DEB),
    Ask(_apt("UPLOAD"), "POST", "/repository/{n}/", "push", 200, 404, DEB),
    Ask(_apt("UPLOAD"), "PUT", "/artifactory/{n}/a.deb;deb.distribution=stable", "push", 200, 404, DEB),
    Ask(_apt("INCOMING"), "PUT", "/apt/{n}/incoming/stable/a.tar.gz", "push", 201, 404, b"a"),
    Ask(_apt("INCOMING"), "PUT", "/api/v4/projects/{n}/packages/debian/a.tar.gz", "push", 201, 404, b"a"),
    Ask(_apt("UPLOAD"), "DELETE", "/apt/{n}/stable/main/hello_1.0_amd64.deb", "delete", 204, 404, undo=_DEB_BACK),
    Ask(_apt("POOL"), "DELETE", _DEB_PATH, "delete", 204, 404, undo=_DEB_BACK),
    Ask(
        *(_apt("PACKAGE"), "DELETE", "/api/packages/{n}/debian/pool/stable/main/hello/1.0/amd64", "delete", 204, 404),
        undo=_DEB_BACK,
    ),
    *_both(("api", "/api/v1/packages"), "/api/v1/packages?repository=apt:{n}", "pull", 200, 404),
    Ask(("api", "/api/v1/apt/{repository}/copy"), "POST", "/api/v1/apt/{n}/copy", "push pull", 200, 404, _COPY),
]

_RPM_HASH = hashlib.sha256(RPM).hexdigest()[:12]
_RPM_FILE = "/rpm/{n}/hello-1.0-1.noarch.rpm"
_RPM_PATH = f"/rpm/{{n}}/Packages/h/{_RPM_HASH}/hello-1.0-1.noarch.rpm"
_RPM_BACK = (("PUT", _RPM_FILE, RPM),)


def _rpm(kind: str) -> tuple[str, str]:
    return ("rpm", kind)


RPMS = [
    *_both(_rpm("INDEX"), "/rpm/{n}/repodata/repomd.xml", "pull", 200, 404),
    *_both(_rpm("POOL"), _RPM_PATH, "pull", 200, 404),
    *_both(_rpm("KEY"), "/rpm/{n}/key.asc", "pull", 200, 404),
    *_both(_rpm("SETUP"), "/rpm/{n}/pkgd.repo", "pull", 200, 404),
    *_both(_rpm("MIRRORLIST"), "/rpm/{n}/mirrorlist", "pull", 200, 404),
    *_both(_rpm("BASE"), "/rpm/{n}/", "pull", 200, 404),
    Ask(_rpm("UPLOAD"), "PUT", _RPM_FILE, "push", 200, 404, RPM),
    Ask(_rpm("UPLOAD"), "POST", _RPM_FILE, "push", 200, 404, RPM),
    Ask(_rpm("UPLOAD"), "PUT", "/api/packages/{owner}/rpm/{group}/upload", "push", 200, 404, RPM),
    Ask(_rpm("UPLOAD"), "PUT", "/rpm/{n}/comps.xml", "push overwrite", 201, 404, COMPS),
    Ask(_rpm("UPLOAD"), "DELETE", _RPM_FILE, "delete", 204, 404, undo=_RPM_BACK),
    Ask(_rpm("POOL"), "DELETE", _RPM_PATH, "delete", 204, 404, undo=_RPM_BACK),
    Ask(
        *(_rpm("PACKAGE"), "DELETE", "/api/packages/{owner}/rpm/{group}/package/hello/1.0-1/noarch", "delete"),
        *(204, 404),
        undo=_RPM_BACK,
    ),
    *_both(("api", "/api/v1/packages"), "/api/v1/packages?repository=rpm:{n}", "pull", 200, 404),
]
