"""A tree of the original server's, served in place; and what the original finds in it afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from pathlib import Path

from tests.modes.__main__ import Checks
from tests.modes.server import Answer
from tests.upgrade.original import MIRRORED, Image, Reader, images, write_tree
from tests.upgrade.server import OnTree
from tests.web.content import BLOB, CONFIG, digest_of, image

__all__ = ["run"]

_HOST, _, _MIRRORED_NAME = MIRRORED.removeprefix("__mirror__/").partition("/")
_PUSHED = image(annotations={"pushed": "after the upgrade"})


def run(checks: Checks, port: int, scratch: Path) -> None:
    """Serve the tree, push beside what it has, and read it as the original does, before and after."""
    server = OnTree(port, scratch / "state", scratch / "logs")
    write_tree(server.tree)
    reader, before = Reader(server.tree), _files(server.tree)
    _original_reads(checks, reader, "before")
    server.start()
    try:
        _serves(checks, server)
        _untouched(checks, server.tree, before, "by pulls")
        _push(checks, server)
        _untouched(checks, server.tree, before, "by pushes")
        _original_reads(checks, reader, "after pushes")
        _move_and_delete(checks, server, reader)
    finally:
        server.stop()
    notices = server.new_crash_notices()
    checks.check("original: no traceback in the log", not notices, notices)
    _verifies(checks, server)
    server.start()  # which sweeps, and begins with an index that it has filled
    try:
        _serves(checks, server, but=(("app", "latest"), ("app", "x.json")))
    finally:
        server.stop()


def _serves(checks: Checks, server: OnTree, but: Collection[tuple[str, str]] = ()) -> None:
    """Every tag, manifest and blob, by GET and HEAD; of some images by digest only."""
    for one in images():
        for reference in (one.digest,) if (one.repository, one.tag) in but else (one.tag, one.digest):
            _same(checks, server, one, f"manifests/{reference}", one.manifest, one.media_type)
        for blob in one.blobs:
            _same(checks, server, one, f"blobs/{digest_of(blob)}", blob, "application/octet-stream")
    _lists(checks, server)


def _lists(checks: Checks, server: OnTree) -> None:
    """Every tag and every repository."""
    names = {one.repository for one in images()} - {MIRRORED}
    for name in names:
        answer = server.ask("GET", f"/v2/{name}/tags/list")
        reader = {path.name[:-5] for path in (server.tree / name / "manifests").glob("*.json")}
        reader |= {path.name for path in (server.tree / name / "manifests" / "by-tag").glob("*")}
        found = json.loads(answer.body)["tags"] if answer.status == 200 else answer
        checks.check(f"original: tags of {name}", found == sorted(reader), found)
    catalog = json.loads(server.ask("GET", "/v2/_catalog").body)["repositories"]
    # Names with parts that are folders of the tree can't be told from what is in those folders.
    listed = {name for name in names if not {"blobs", "manifests"} & {*name.split("/")}}
    missing = listed - {*catalog}
    checks.check("original: the catalogue has every repository", not missing, catalog)


def _same(checks: Checks, server: OnTree, one: Image, rest: str, data: bytes, kind: str) -> None:
    mirrored = one.repository == MIRRORED
    target = f"/v2/{_MIRRORED_NAME}/{rest}?ns={_HOST}" if mirrored else f"/v2/{one.repository}/{rest}"
    got, head = server.ask("GET", target), server.ask("HEAD", target)
    checks.check(f"original: GET {target}", (got.status, got.body) == (200, data), got)
    told = dict(got.headers)
    right = told.get("docker-content-digest") == digest_of(data) and told.get("content-type") == kind
    checks.check(f"original: headers of {target}", right, told)
    checks.check(f"original: HEAD {target}", head == Answer(200, got.headers, b""), head)


def _push(checks: Checks, server: OnTree) -> None:
    """Into a repository that is there, and into new ones beside and below it."""
    for name in ("app", "team/app", "app/below", "new"):
        for blob in (BLOB, CONFIG):
            answer = server.ask("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(blob)}", body=blob)
            checks.check(f"original: push of a blob to {name}", answer.status == 201, answer)
        answer = _put(server, name, "pushed")
        checks.check(f"original: push to {name}", answer.status == 201, answer)
        found = server.ask("GET", f"/v2/{name}/manifests/pushed")
        checks.check(f"original: what was pushed to {name}", found.body == _PUSHED, found)


def _move_and_delete(checks: Checks, server: OnTree, reader: Reader) -> None:
    """A tag that is moved, and one that is deleted: the original sees both, and what they were is still there."""
    old = {one.tag: one for one in images() if one.repository == "app"}
    file = server.tree / "app" / "manifests" / "latest.json"
    for name in ("app", "team/app", "app/below", "new"):
        checks.check(f"the original reads what was pushed to {name}", reader.manifest(name, "pushed") == _PUSHED)
    checks.check("original: a tag is moved", _put(server, "app", "latest").status == 201)
    checks.check("original: the moved tag's file is as it was", file.read_bytes() == old["latest"].manifest)
    checks.check("original: it reads the moved tag", reader.manifest("app", "latest") == _PUSHED)
    deleted = server.ask("DELETE", "/v2/app/manifests/pushed")
    checks.check("original: a tag is deleted", deleted.status == 202, deleted)
    checks.check("original: it doesn't find the deleted tag", reader.manifest("app", "pushed") is None)
    legacy = server.ask("DELETE", "/v2/app/manifests/x.json")
    checks.check("original: a tag that it has written is deleted", legacy.status == 202, legacy)
    checks.check("original: it doesn't find that one either", reader.manifest("app", "x.json") is None)
    left = reader.manifest("app", old["x.json"].digest)
    checks.check("original: but it does by digest", left == old["x.json"].manifest)
    by_digest = reader.manifest("app", old["latest"].digest)
    checks.check("original: what the moved tag was is there by digest", by_digest == old["latest"].manifest)


def _verifies(checks: Checks, server: OnTree) -> None:
    """`pkgd verify` is content with the tree; and names a blob that is lost."""
    done = server.run("verify", "--")
    checks.check("original: pkgd verify is content", done.returncode == 0, done.stdout + done.stderr)
    blob = next(one for one in images() if one.repository == "team").blobs[0]
    path, aside = server.tree / "team" / "blobs" / digest_of(blob)[7:], server.tree.parent / "aside"
    path.rename(aside)
    done = server.run("verify", "--")
    told = digest_of(blob) in done.stdout + done.stderr
    checks.check("original: pkgd verify names what is lost", done.returncode == 1 and told, done.stdout + done.stderr)
    aside.rename(path)


def _put(server: OnTree, name: str, tag: str) -> Answer:
    kind = {"Content-Type": json.loads(_PUSHED)["mediaType"]}
    return server.ask("PUT", f"/v2/{name}/manifests/{tag}", kind, _PUSHED)


def _original_reads(checks: Checks, reader: Reader, when: str) -> None:
    for one in images():
        wrong = reader.wrong(one)
        checks.check(f"the original reads {one.repository}:{one.tag} {when}", not wrong, wrong)


def _files(tree: Path) -> dict[str, tuple[int, int, str]]:
    """Every file of the tree but the spool: which it is, when it was written, and the hash of what is in it."""
    found = {}
    for path in tree.rglob("*"):
        name = path.relative_to(tree).as_posix()
        if path.is_file() and not name.startswith("__spool__"):
            stat = path.stat()
            found[name] = (stat.st_ino, stat.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


def _untouched(checks: Checks, tree: Path, before: dict[str, tuple[int, int, str]], how: str) -> None:
    now = _files(tree)
    changed = [name for name, one in before.items() if now.get(name) != one]
    checks.check(f"original: no file is rewritten {how}", not changed, changed)
    added = [name for name in now if name not in before]
    checks.check(f"original: nothing is written {how}", how != "by pulls" or not added, added)
    checks.check("original: there are files to compare", len(before) > 80, len(before))
