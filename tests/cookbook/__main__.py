"""Run all recipes, or those named: one line per case, then the counts."""

from __future__ import annotations

import argparse
import importlib
import os
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

from tests.cookbook.village import Village, settle
from tests.live import cell
from tests.live.tools import PACKAGES, install

RECIPES = [
    *("readme", "laptop", "one_server", "public_mirror", "chain", "private_and_mirror", "air_gap"),
    *("single_sign_on", "behind_a_proxy", "kubernetes"),
]
NOT_HERE = {
    "Traefik": "its modules are not all to be had from Go's proxy, and Debian has no package",
    "Cloudflare": "it is a service; its proxy's limits are named in the recipe",
    "CRI-O": "Debian has no package; its files are read by skopeo, which shares the code",
    "containerd 2": "Debian has 1.6; hosts.toml is the same, of config.toml the form is checked",
    "the kubelet": "there is no cluster",
}
_PROGRAMS = {
    "haproxy": "haproxy",
    "htpasswd": "apache2-utils",
    "dput": "dput",
    "dnf": "dnf",
    "zypper": "zypper",
    "rpmbuild": "rpm",
    "apt-get": "apt",
    "update-ca-certificates": "ca-certificates",
}
_ALSO = ["podman", "skopeo", "dockerd", "docker", "containerd", "ctr", "runc", "nginx", "docker-registry", "curl"]
_ALSO += ["ip", "unshare", "node", "npm", "chromium"]


def main() -> int:
    """Run the suite and return its exit status."""
    options = _options()
    if options.inside:
        return Suite(settle(options.inside, options.layer)).run(options.recipes)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that a stopped suite leaves nothing behind either
    try:
        if os.geteuid() != 0:
            raise PermissionError("the suite installs packages and makes namespaces: it must run as root")
        PACKAGES.update({program: (package,) for program, package in _PROGRAMS.items()})
        install([*_PROGRAMS, *_ALSO])
        scratch = Path(tempfile.mkdtemp(prefix="pkgd-cookbook-"))
        try:
            _fetch(scratch, options.recipes)
            return cell.enter(scratch, sys.argv[1:], "tests.cookbook")
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except (FileNotFoundError, PermissionError) as error:
        print(f"{error}\n0 passed, 1 failed")
        return 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.cookbook", description=__doc__)
    parser.add_argument("recipes", nargs="*", metavar="recipe", help=", ".join(RECIPES))
    parser.add_argument("--layer", type=int, default=200, help="the size of a layer that goes through proxies, in MiB")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if unknown := set(options.recipes) - set(RECIPES):
        parser.error(f"no such recipe: {', '.join(unknown)}")
    options.recipes = options.recipes or RECIPES
    return options


def _fetch(scratch: Path, recipes: list[str]) -> None:
    """What recipes need of the network, before there is none."""
    for recipe in recipes:
        module = importlib.import_module(f"tests.cookbook.{recipe}")
        fetch: Callable[[Path], None] | None = getattr(module, "fetch", None)
        if fetch:
            fetch(scratch)


class Suite:
    """Runs cases and counts them."""

    def __init__(self, village: Village) -> None:
        self._village = village
        self._passed = 0
        self._failed = 0

    def run(self, recipes: list[str]) -> int:
        """Run the recipes' cases, print the counts and return the exit status."""
        for recipe in recipes:
            try:
                for case in importlib.import_module(f"tests.cookbook.{recipe}").cases(self._village):
                    self._try(f"{recipe}: {case.name}", case.trial)
            except Exception as error:  # what the cases stand on, such as a server
                self._report(f"{recipe}: surroundings", 0, error)
        for what, why in NOT_HERE.items():
            print(f"not run here: {what}: {why}")
        print(f"{self._passed} passed, {self._failed} failed")
        return 1 if self._failed or not self._passed else 0

    def _try(self, name: str, trial: Callable[[], object]) -> None:
        start = time.monotonic()
        failure: Exception | None = None
        try:
            trial()
        except Exception as error:  # whatever it is, it is this case's failure and no other's
            failure = error
        self._report(name, time.monotonic() - start, failure)

    def _report(self, name: str, seconds: float, error: Exception | None) -> None:
        print(f"{'FAIL' if error else 'ok':4} {name:100} {seconds:6.1f} s", flush=True)
        if error is None:
            self._passed += 1
            return
        self._failed += 1
        details = f"{type(error).__name__}: {error}\n{self._last_lines()}"
        print(textwrap.indent(details[-6000:], "     | "), flush=True)

    def _last_lines(self) -> str:
        logs = sorted(self._village.scratch.glob("*.log"))
        tails = (f"-- {one.name}\n" + "\n".join(one.read_text(errors="replace").splitlines()[-6:]) for one in logs)
        return "\n".join(tails)


if __name__ == "__main__":
    sys.exit(main())
