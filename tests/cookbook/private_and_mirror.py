"""The recipe `private-and-mirror`: own names stay inside, other names are found outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

from tests.cookbook.internet import Internet, internet
from tests.cookbook.markdown import Recipe
from tests.cookbook.one_server import ALICE
from tests.cookbook.public_mirror import make_users
from tests.cookbook.servers import CONFIGURATION, Server, serving
from tests.cookbook.village import Village
from tests.live.bench import Case
from tests.live.content import expect
from tests.live.tools import must_fail, run

_PKG = "docker://pkg.example.com"


def cases(village: Village) -> Iterator[Case]:
    """Somebody outside has registered the names of the team."""
    with ExitStack() as stack:
        stack.enter_context(village.state())
        make_users(village)
        outside = stack.enter_context(internet(village, "private"))
        trap = village.images.another_small("trap")
        hub = "registry-1.docker.io"
        outside.publish(trap, f"{hub}/team-a/app:v1", f"{hub}/base/debian:12", f"{hub}/other/app:1")
        server = stack.enter_context(serving(village, Recipe.read("private-and-mirror").file(CONFIGURATION)))
        yield Case("names of one's own are never looked up outside", partial(_reserved, outside, server))
        yield Case("what was pushed under such a name is pulled", partial(_pushed, village))
        yield Case("a tag that begins with v is set once", partial(_immutable, village))
        yield Case("other names are looked up outside", partial(_others, outside, server))


def _reserved(outside: Internet, server: Server) -> None:
    for name in ("team-a/app", "team-z/any", "base/debian"):
        expect(name, server.status(f"/v2/{name}/manifests/v1", ALICE), 404)
        expect(f"questions about {name} outside, but for its push", _asked(outside, name), [])


def _asked(outside: Internet, name: str) -> list[str]:
    """GETs and HEADs of manifests are what a mirror asks; the push asked for blobs, and put its manifest."""
    return [one for one in outside.questions(name) if "/manifests/" in one and not one.startswith("PUT")]


def _copy(source: str, target: str) -> list[str]:
    return ["skopeo", "copy", "--quiet", "--dest-creds", ALICE, source, target]


def _pushed(village: Village) -> None:
    image = village.images.small
    run(*_copy(image.source, f"{_PKG}/team-a/app:v1"))
    said = run("skopeo", "inspect", "--raw", "--creds", ALICE, f"{_PKG}/team-a/app:v1")
    expect("the manifest is ours", image.config.digest in said, True)


def _immutable(village: Village) -> None:
    other = village.images.another_small("other").source
    must_fail("denied", *_copy(other, f"{_PKG}/team-a/app:v1"))


def _others(outside: Internet, server: Server) -> None:
    expect("status", server.status("/v2/other/app/manifests/1", ALICE), 200)
    expect("asked outside", bool(_asked(outside, "other/app")), True)
