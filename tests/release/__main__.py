"""Run the jobs of `.gitlab-ci.yml` by their scripts: what arrives in the registry is what was built, twice the same."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.request import urlopen

import yaml

from tests.live.tools import Daemon, install
from tests.release import advisories

ROOT = Path(__file__).resolve().parents[2]
NAME, VERSION = "tools/pkgd", "0.1.0"


class Wrong(Exception):
    """Something is not as it has to be."""


class Suite:
    """Counts what holds."""

    def __init__(self) -> None:
        self.good = self.bad = 0

    def check(self, what: str, found: object, wanted: object) -> None:
        """One fact."""
        if found == wanted:
            self.good += 1
            print(f"ok   {what}", flush=True)
        else:
            self.bad += 1
            print(f"FAIL {what}\n     | {found!r}, and not {wanted!r}", flush=True)


def main() -> int:
    """Run the suite and return its exit status."""
    suite = Suite()
    scratch = Path(tempfile.mkdtemp(prefix="pkgd-release-"))
    try:
        install(["skopeo"])
        _pipeline(suite)
        _release(suite, scratch)
    except Exception as error:
        suite.check(f"the jobs end: {error}", type(error).__name__, "")
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    print(f"{suite.good} passed, {suite.bad} failed")
    return 1 if suite.bad or not suite.good else 0


def _pipeline(suite: Suite) -> None:
    """Every script that the pipeline names is here, and nothing in it writes to git or keeps a secret."""
    text = (ROOT / ".gitlab-ci.yml").read_text()
    jobs = {name: one for name, one in yaml.safe_load(text).items() if isinstance(one, dict) and "script" in one}
    lines = [line for job in jobs.values() for line in job["script"]]
    words = [word for line in lines for word in line.split() if word.startswith("packaging/")]
    suite.check("the pipeline's scripts are here", [one for one in words if not (ROOT / one).is_file()], [])
    suite.check("nothing is pushed to git", "git push" in text, False)
    needs = {name: [one["job"] for one in job.get("needs", [])] for name, job in jobs.items()}
    suite.check("publish has the number and the build", {"number", "build"} <= set(needs["publish"]), True)


def _release(suite: Suite, scratch: Path) -> None:
    remote, first, second = (scratch / name for name in ("remote.git", "first", "second"))
    _run(scratch, "git", "clone", "--quiet", "--bare", str(ROOT), str(remote))
    for clone in (first, second):
        _run(scratch, "git", "clone", "--quiet", str(remote), str(clone))
    refs = _run(remote, "git", "show-ref")
    commit = _run(first, "git", "rev-parse", "HEAD").strip()
    port = _free_port()
    registry = f"127.0.0.1:{port}"
    (scratch / "pkgd.yaml").write_text(
        f'state_dir: {scratch}/state\nserver: {{listen: ["tcp:{port}:interface=127.0.0.1"]}}\n'
        "repositories: {oci: {immutable_tags: ['tools/**:*']}}\n"
    )
    (scratch / "registries.conf").write_text(f'[[registry]]\nlocation = "{registry}"\ninsecure = true\n')
    environment = {
        "PACKAGE_SERVER_DOCKER": registry,
        "NAME": NAME,
        "VERSION": VERSION,
        "CONTAINERS_REGISTRIES_CONF": str(scratch / "registries.conf"),
    }
    command = [sys.executable, "-m", "pkgd", "serve", "-c", str(scratch / "pkgd.yaml")]
    daemon = Daemon("pkgd", command, scratch / "pkgd.log")
    try:
        daemon.wait_until(lambda: _answers(port))
        _run(first, "packaging/release/number", more=environment)
        suite.check("the first release has number 1", (first / ".release").read_text(), "1\n")
        _run(first, "packaging/release/build", more=environment)
        _audit(suite, first)
        _run(first, "packaging/release/publish", more=environment)
        tag = f"{VERSION}.1"
        arrived = _manifest(port, tag)
        suite.check("the image has arrived as it was built", arrived, _built(first, tag))
        version = json.loads(_run(first, "dist/pkgd", "version", "--json"))
        suite.check("the executable knows its release", version["version"], tag)
        suite.check("and its commit", (version["commit"], version["modified"]), (commit, False))
        suite.check("git has noticed nothing", _run(first, "git", "status", "--porcelain"), "")
        suite.check("nothing was pushed", _run(remote, "git", "show-ref"), refs)
        _run(first, "packaging/release/publish", more=environment)
        suite.check("publishing again changes nothing", _manifest(port, tag), arrived)
        _run(second, "packaging/release/number", more=environment)
        suite.check("the next number is 2", (second / ".release").read_text(), "2\n")
        _same(suite, first, second, environment, tag)
    finally:
        daemon.stop()


def _audit(suite: Suite, clone: Path) -> None:
    """A release has its bills; what is known against a component stops it, and a source that is away is told apart."""
    bills = [f"pkgd-{VERSION}.1.oci.cdx.json", f"pkgd-{VERSION}.1-onedir.oci.cdx.json", "pkgd.cdx.json"]
    suite.check("bills", sorted(path.name for path in (clone / "dist").glob("*.cdx.json")), sorted(bills))
    with advisories.knowing(None) as source:
        status, _ = _audited(clone, source)
        suite.check("the audit: nothing is known", status, 0)
    status, said = _audited(clone, source)
    suite.check("the audit: its source is away", (status, "cannot be asked" in said), (3, True))
    with advisories.knowing("twisted") as source:
        status, said = _audited(clone, source)
    suite.check(
        "the audit: an advisory", (status, advisories.ADVISORY in said, "fixed in 999.9" in said), (1, True, True)
    )


def _audited(clone: Path, source: str) -> tuple[int, str]:
    command = ["/usr/bin/python3", "packaging/sbom/audit.py"]
    environment = {**os.environ, "OSV_URL": source}
    found = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    return found.returncode, found.stdout + found.stderr


def _same(suite: Suite, first: Path, second: Path, environment: Mapping[str, str], tag: str) -> None:
    """Another clone builds the same."""
    (second / ".release").write_text("1\n")
    for script in ("packaging/executable/build", "packaging/image/build.py"):
        _run(second, script, more=environment)
    bills = ("pkgd.cdx.json", f"pkgd-{tag}.oci.cdx.json", f"pkgd-{tag}-onedir.oci.cdx.json")
    for name in ("pkgd", f"pkgd-{tag}.oci.tar", f"pkgd-{tag}-onedir.oci.tar", *bills):
        digests = [hashlib.sha256((clone / "dist" / name).read_bytes()).hexdigest() for clone in (first, second)]
        suite.check(f"two clones build the same {name}", digests[0], digests[1])


def _built(clone: Path, tag: str) -> str:
    """The digest of the manifest in an archive."""
    index = json.loads(_run(clone, "tar", "-xOf", f"dist/pkgd-{tag}.oci.tar", "index.json"))
    return str(index["manifests"][0]["digest"])


def _manifest(port: int, tag: str) -> str:
    """The digest of the manifest that the registry has."""
    with urlopen(f"http://127.0.0.1:{port}/v2/{NAME}/manifests/{tag}", timeout=30) as answer:
        return f"sha256:{hashlib.sha256(answer.read()).hexdigest()}"


def _answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/ready", timeout=5) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _run(folder: Path, *command: str, more: Mapping[str, str] | None = None) -> str:
    found = subprocess.run(
        command, cwd=folder, env={**os.environ, **(more or {})}, capture_output=True, text=True, check=False
    )
    if found.returncode:
        raise Wrong(f"{' '.join(command)}: {found.returncode}\n{found.stdout[-1500:]}\n{found.stderr[-1500:]}")
    return found.stdout


if __name__ == "__main__":
    sys.exit(main())
