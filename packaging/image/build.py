#!/usr/bin/env python3
"""Makes the images from dist/pkgd and dist/pkgd-onedir/, as OCI archives, without pulling anything and without root.

    dist/pkgd-<version>.oci.tar           the one executable; it unpacks itself into /tmp, which is a volume
    dist/pkgd-<version>-onedir.oci.tar    its folder: nothing but /var/lib/pkgd needs to be writable

With the bill of materials of each beside it (packaging/sbom/image.py). Two builds of one commit, from the same Debian
packages, have the same digest. Needs apt-get and dpkg-deb.
"""

from __future__ import annotations

import io
import json
import platform
import subprocess
import sys
import tarfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from layer import Layer, digest, make_layer
from root import USER, base_entries, program_entries

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"
SECOND = 1_000_000_000
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_TYPE = "application/vnd.oci.image"


def main() -> int:
    """Make both, and print their digests."""
    time = int(_git("log", "-1", "--format=%ct"))
    version = json.loads(_run(str(DIST / "pkgd"), "version", "--json"))["version"]
    base = make_layer(base_entries(ROOT / "build" / "image"), time)
    texts = {
        "etc/pkgd/pkgd.yaml": Path(__file__).with_name("pkgd.yaml"),
        "usr/share/doc/pkgd/LICENSE": ROOT / "LICENSE",
        "usr/share/doc/pkgd/THIRD-PARTY-LICENCES": DIST / "pkgd.licences.txt",
    }
    # The executable unpacks itself for each command, so it is asked less often.
    for kind, program, volumes, interval in (
        ("", DIST / "pkgd", ("/tmp", "/var/lib/pkgd"), 60),  # noqa: S108
        ("-onedir", DIST / "pkgd-onedir", ("/var/lib/pkgd",), 30),
    ):
        own = make_layer(program_entries(program, texts), time)
        config = _config((base, own), version, time, volumes, interval)
        path = DIST / f"pkgd-{version}{kind}.oci.tar"
        found = _write(path, (base, own), config, f"{version}{kind}", time)
        print(f"{path.relative_to(ROOT)}: {found}, {len(base.data) + len(own.data)} bytes of layers")
    print(_run(sys.executable, str(ROOT / "packaging/sbom/image.py")))
    return 0


def _config(layers: tuple[Layer, ...], version: str, time: int, volumes: tuple[str, ...], interval: int) -> Any:
    created = datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "created": created,
        "architecture": _ARCHITECTURES[platform.machine()],
        "os": "linux",
        "config": {
            "User": f"{USER}:{USER}",
            "ExposedPorts": {"8080/tcp": {}},
            "Env": [
                "PATH=/usr/bin",
                "PKGD_CONFIG=/etc/pkgd/pkgd.yaml",
                "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt",
            ],
            "Entrypoint": ["/usr/bin/pkgd"],
            "Cmd": ["serve"],
            "Volumes": {one: {} for one in volumes},
            "WorkingDir": "/",
            "StopSignal": "SIGTERM",
            # Docker's engine reads it; OCI's own specification has no such thing.
            "Healthcheck": {
                "Test": ["CMD", "/usr/bin/pkgd", "healthcheck"],
                "Interval": interval * SECOND,
                "Timeout": 10 * SECOND,
                "StartPeriod": 10 * SECOND,
            },
            "Labels": {
                "org.opencontainers.image.title": "pkgd",
                "org.opencontainers.image.version": version,
                "org.opencontainers.image.revision": _git("rev-parse", "HEAD"),
                "org.opencontainers.image.created": created,
                "org.opencontainers.image.licenses": "Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in layers]},
        "history": [{"created": created, "created_by": "packaging/image/build.py"} for _ in layers],
    }


def _write(path: Path, layers: tuple[Layer, ...], config: Any, tag: str, time: int) -> str:
    """Write the archive of one image; returns the digest of its manifest."""
    config_bytes = _json(config)
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": f"{_TYPE}.manifest.v1+json",
            "config": _described(f"{_TYPE}.config.v1+json", config_bytes),
            "layers": [_described(f"{_TYPE}.layer.v1.tar+gzip", one.data) for one in layers],
        }
    )
    top = _described(f"{_TYPE}.manifest.v1+json", manifest)
    top["annotations"] = {"org.opencontainers.image.ref.name": tag}
    blobs = {digest(data): data for data in (config_bytes, manifest, *(one.data for one in layers))}
    files = {f"blobs/{name.replace(':', '/')}": data for name, data in blobs.items()}
    files["index.json"] = _json({"schemaVersion": 2, "mediaType": f"{_TYPE}.index.v1+json", "manifests": [top]})
    files["oci-layout"] = _json({"imageLayoutVersion": "1.0.0"})
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size, info.mtime, info.mode = len(files[name]), time, 0o644
            archive.addfile(info, io.BytesIO(files[name]))
    return digest(manifest)


def _described(media_type: str, data: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(data), "size": len(data)}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("utf-8")


def _git(*arguments: str) -> str:
    return _run("git", "-C", str(ROOT), *arguments)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
