"""A state with images, a mirror's cache, packages, keys and accounts, and what may happen to it meanwhile."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from pkgd.backup.command import Screen, back_up, put_back, verify
from pkgd.backup.places import Places
from pkgd.backup.taking import Order, Taken, take
from pkgd.formats.digest import Digest
from pkgd.packages.apt import AptRepository
from pkgd.packages.rpm import RpmRepository
from pkgd.state.accounts import AccountsFile
from tests.config.cases import ConfigCase
from tests.packages.fixtures import Ground, made_deb, result
from tests.packages.test_rpm import made_rpm
from tests.states import put_object, started

__all__ = ["BackupCase", "Meanwhile", "files_of", "image", "index"]

_IMAGE = "application/vnd.oci.image.manifest.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"


def image(*layers: bytes, config: bytes = b"{}") -> bytes:
    """A manifest."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": _IMAGE,
            "config": _descriptor(config, "application/vnd.oci.empty.v1+json"),
            "layers": [_descriptor(one, "application/vnd.oci.image.layer.v1.tar") for one in layers],
        }
    ).encode()


def index(*manifests: bytes) -> bytes:
    """An index."""
    children = [_descriptor(one, _IMAGE) for one in manifests]
    return json.dumps({"schemaVersion": 2, "mediaType": _INDEX, "manifests": children}).encode()


def _descriptor(data: bytes, media_type: str) -> Mapping[str, object]:
    return {"mediaType": media_type, "digest": str(Digest.of(data)), "size": len(data)}


class Meanwhile:
    """Implements `Progress`: something happens after so many files."""

    def __init__(self, after: int = 0, what: Callable[[], None] = lambda: None) -> None:
        self.count = 0
        self._after = after
        self._what = what

    def begin(self, what: str, total: int | None) -> None:
        """See `Progress`."""

    def advance(self, size: int) -> None:
        """See `Progress`."""
        self.count += 1
        if self.count == self._after:
            self._what()


class BackupCase(ConfigCase):
    """A state, and the commands on it."""

    def setUp(self) -> None:
        """Populate it."""
        super().setUp()
        self.state = os.path.abspath(self.mktemp())
        self.config = self.read(self.configuration())
        self.places = Places(self.state, f"{self.state}/oci")
        self.ground = Ground(self.state, in_memory=False)
        self.apt, self.rpm = self.repositories()
        result(self.apt.add("stable", "main", self.ground.arrival("x.deb", made_deb())))
        result(self.rpm.add(self.ground.arrival("x.rpm", made_rpm())))
        self.push("team/app", "v1", image(b"one", b"base"), b"one", b"base")
        self.push("team/app", "v2", image(b"two", b"base"), b"two", b"base")
        child = image(b"child")
        self.put("team/app", "manifests/by-digest", child)
        self.push("team/app", "all", index(child), b"child")
        self.put("__mirror__/docker.io/library/alpine", "blobs", b"cached")
        AccountsFile(f"{self.state}/pkgd.sqlite").prepare()
        Path(self.state, "pkgd.lock").touch()
        Path(self.state, "oci/__spool__").mkdir()

    def configuration(self, state: str | None = None) -> str:
        """The text of the configuration of a state."""
        key = "signing: {keys: {default: {algorithm: ed25519}}}"
        return f"state_dir: {state or self.state}\n{key}\nstorage: {{filesystem: {{fsync: false}}}}"

    def repositories(self) -> tuple[AptRepository, RpmRepository]:
        """As a start finds them."""
        return started(self.ground, self.config)

    # -- images --

    def put(self, repository: str, folder: str, data: bytes) -> Path:
        """Put a blob or manifest into the tree."""
        return put_object(self.state, repository, folder, data)

    def push(self, repository: str, tag: str, manifest: bytes, *layers: bytes) -> None:
        """Push an image: what is named first."""
        for one in (b"{}", *layers):
            self.put(repository, "blobs", one)
        self.put(repository, "manifests/by-digest", manifest)
        self.tag(repository, tag, manifest)

    def tag(self, repository: str, tag: str, manifest: bytes) -> None:
        """Set a tag."""
        path = Path(self.state, "oci", repository, "manifests/by-tag", tag)
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = Path(self.state, "draft")
        draft.write_text(json.dumps({"digest": str(Digest.of(manifest))}))
        draft.rename(path)

    def forget(self, repository: str, *names: str) -> None:
        """Remove files of a repository, in this order, as far as they are there."""
        for name in names:
            Path(self.state, "oci", repository, name).unlink(missing_ok=True)

    # -- the commands --

    def back_up(self, directory: str | None = None, **order: object) -> tuple[int, str, str]:
        """A backup: the exit status, where it is, and what is said."""
        target = directory or os.path.abspath(self.mktemp())
        output = io.StringIO()
        status = back_up(self.config, Order(target, **order), Screen(output, io.StringIO()))  # type: ignore[arg-type]
        return status, target, output.getvalue()

    def take(self, meanwhile: Meanwhile) -> tuple[str, Taken]:
        """A backup during which something happens."""
        target = os.path.abspath(self.mktemp())
        return target, take(self.places, Order(target), 0.0, meanwhile)

    def verify(self, directory: str | None = None) -> tuple[int, Mapping[str, object]]:
        """A verification: the exit status, and the report."""
        output = io.StringIO()
        status = verify(self.config, directory, Screen(output, io.StringIO(), as_json=True))
        return status, json.loads(output.getvalue())

    def restore(self, backup: str, state: str | None = None) -> tuple[int, str]:
        """A restore: the exit status, and the state directory."""
        target = state or os.path.abspath(self.mktemp())
        config = self.read(self.configuration(target))
        return put_back(config, backup, Screen(io.StringIO(), io.StringIO())), target

    def assert_well(self, directory: str | None = None) -> None:
        """Nothing is wrong with a backup, or the state."""
        status, report = self.verify(directory)
        self.assertEqual((report["problems"], status), ([], 0))

    def problems(self, directory: str | None = None) -> dict[str, str]:
        """What a verification says is wrong, by file."""
        status, report = self.verify(directory)
        found = {one["where"]: one["what"] for one in report["problems"]}  # type: ignore[index,attr-defined]
        self.assertEqual(status, 1 if found else 0)
        return found


def files_of(directory: str) -> dict[str, bytes]:
    """Every file below a directory."""
    root = Path(directory)
    return {str(one.relative_to(root)): one.read_bytes() for one in sorted(root.rglob("*")) if one.is_file()}
