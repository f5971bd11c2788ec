"""Runs the OCI conformance program over HTTP and over TLS, with every switch on, and shows its results.

The program comes through the Go module proxy at a pinned version. Whatever is not a Pass counts as
failed: a Skip is a thing that the registry cannot do, and Disabled one that it was not asked.
The runs' own repositories are made sparse by configuration, because the program pushes manifests
without their layers there; nowhere else are such manifests accepted.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.live.certificates import issue
from tests.live.server import REPOSITORY_ROOT, Pkgd, Setup

MODULE = "github.com/opencontainers/distribution-spec/conformance"
VERSION = "v0.0.0-20260831232431-97274622c111"
RESULTS = REPOSITORY_ROOT / "results" / "conformance"


class SparsePkgd(Pkgd):
    """pkgd that lets the program's repositories be sparse."""

    def _settings(self) -> dict[str, Any]:
        return {**super()._settings(), "repositories": {"oci": {"sparse": ["conformance/**"]}}}


def main() -> int:
    """Run both, print what each said, and count."""
    program = install()
    passed = failed = 0
    for transport in ("http", "tls"):
        with tempfile.TemporaryDirectory(prefix="pkgd-conformance-") as folder:
            output = run(program, transport, Path(folder))
        good, bad = report(transport, output)
        passed, failed = passed + good, failed + bad
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


def install() -> Path:
    """Build the pinned program, once."""
    place = REPOSITORY_ROOT / ".venv" / "conformance" / VERSION
    if not (place / "conformance").exists():
        if shutil.which("go") is None:
            raise SystemExit("the conformance program needs Go 1.24 or newer on the PATH")
        environment = {**os.environ, "GOBIN": str(place), "GOFLAGS": "-mod=mod"}
        subprocess.run(["go", "install", f"{MODULE}@{VERSION}"], env=environment, check=True, cwd="/")
    return place / "conformance"


def run(program: Path, transport: str, folder: Path) -> str:
    """Run the program against a fresh daemon; returns what it printed."""
    port = free_port()
    certificates = issue(folder / "certificates", ["127.0.0.1"]) if transport == "tls" else None
    server = SparsePkgd(Setup(f"pkgd-{transport}", "127.0.0.1", port, certificates), folder / "server")
    results = RESULTS / transport
    shutil.rmtree(results, ignore_errors=True)
    results.mkdir(parents=True)
    environment = {
        **os.environ,
        "OCI_REGISTRY": f"127.0.0.1:{port}",
        "OCI_TLS": "enabled" if certificates else "disabled",
        "OCI_VERSION": "dev",
        "OCI_DATA_SPARSE": "true",
        "OCI_RESULTS_DIR": str(results),
    }
    if certificates:
        environment["SSL_CERT_FILE"] = str(certificates.authority)
    server.start()
    try:
        done = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=600, check=False)
    finally:
        server.stop()
        server.remove()
    return done.stdout + done.stderr


def report(transport: str, output: str) -> tuple[int, int]:
    """Print the result file and every test that did not pass; returns how many passed and how many did not."""
    file = RESULTS / transport / "results.yaml"
    if not file.exists():
        print(output[-2000:])
        return 0, 1
    results = yaml.safe_load(file.read_text())
    version = results["config"]["version"]
    print(f"== conformance over {transport}: {file.relative_to(REPOSITORY_ROOT)}, version {version}")
    states = {**results["apis"], **results["data"]}
    for name, state in states.items():
        print(f"   {name:<34} {state}")
    outcomes = re.findall(r"^\s*(OCI Conformance Test\S?.*): (\w+)$", output, re.MULTILINE)
    bad = [(name, outcome) for name, outcome in outcomes if outcome != "Pass"]
    bad += [(name, state) for name, state in states.items() if state != "Pass"]
    for name, outcome in bad:
        print(f"   not passed: {name}: {outcome}")
    counted: dict[str, int] = {}
    for _, outcome in outcomes:
        counted[outcome] = counted.get(outcome, 0) + 1
    print(f"   tests: {counted}", flush=True)
    return len(outcomes) + len(states) - len(bad), len(bad)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


if __name__ == "__main__":
    sys.exit(main())
