"""The recipe `chain`: two mirrors, of which the second asks the first alone; and a circle of them."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from tests.cookbook.internet import Internet, internet
from tests.cookbook.markdown import Recipe
from tests.cookbook.public_mirror import ALPINE, REGISTRIES, make_users
from tests.cookbook.servers import CONFIGURATION, Server, get, serving
from tests.cookbook.village import Village
from tests.live.bench import Case
from tests.live.content import expect

_CENTRAL, _SITE = "central.example.com", "site.example.com"


def cases(village: Village) -> Iterator[Case]:
    """The chain, by a file and by the variable; then the circle."""
    central_file = Recipe.read("public-mirror").file(CONFIGURATION).replace("pkg.example.com", _CENTRAL)
    site_file = Recipe.read("chain").file(f"site:{CONFIGURATION}")
    conf = Recipe.read("public-mirror").file(REGISTRIES).replace("pkg.example.com", _SITE)
    with ExitStack() as stack:
        stack.enter_context(village.state())
        make_users(village)
        for name in (_CENTRAL, _SITE):
            (village.scratch / name).mkdir(exist_ok=True)
            shutil.copy("/etc/pkgd/users", village.scratch / name)
        outside = stack.enter_context(internet(village, "chain"))
        stack.enter_context(village.installed({REGISTRIES: conf}))
        central = stack.enter_context(serving(village, central_file, _CENTRAL))
        site = stack.enter_context(serving(village, site_file, _SITE))
        yield Case("a pull at the site goes through both", partial(_both, village, outside, central))
        yield Case("the site asks nobody but the central mirror", partial(_alone, site))
        central.stop()
        yield Case("the line is cut: the site serves what it has", partial(_pull, village))
        central.use(central_file)
        trial = partial(_circle, central, site)
        yield Case("two that ask each other end with an error, at once", trial)


def _pull(village: Village) -> None:
    folder = village.scratch / "chain-pulled"
    shutil.rmtree(folder, ignore_errors=True)
    village.shell(f"skopeo copy --quiet docker://{ALPINE} dir:{folder}")
    for blob in village.images.small.blobs:
        expect("blob", (folder / blob.digest[7:]).exists(), True)


def _both(village: Village, outside: Internet, central: Server) -> None:
    _pull(village)
    outside.gave_each_blob_once(village.images.small, "library/alpine")
    central.wait_for_lines("ns=docker.io")


def _alone(site: Server) -> None:
    """The registry has it, and the central mirror has no rule against it; but nothing else is asked."""
    asked = [line for line in site.lines("upstream") if "registry-1.docker.io" in line]
    expect("requests of the site to the registry", asked, [])


def _circle(central: Server, site: Server) -> None:
    central.add(REGISTRY_UPSTREAM_MIRROR=f"https://{_SITE}", PKGD_MIRROR__UPSTREAM_ONLY="true")
    central.start()
    status, _ = get(f"{site.url}/v2/library/unheard-of/manifests/1?ns=docker.io")
    expect("status", status in (502, 508), True)
    central.wait_for_lines('/v2/library/unheard-of/manifests/1?ns=docker.io HTTP/1.1" 5')
    asked = central.lines("/v2/library/unheard-of/manifests/1?ns=docker.io HTTP")
    expect("questions at the central mirror", len(asked) <= 2, True)
