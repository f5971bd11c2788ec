"""`pkgd mirror prefetch`: a list of images is fetched, the registries go away, and clients have all of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.live import mirror_node, skopeo, upstreams
from tests.live.bench import Bench, Case
from tests.live.content import expect, hash_file
from tests.live.images import TAG
from tests.live.mirror_node import running_node
from tests.live.mirror_stock import Stocked, heavy_of, light_of
from tests.live.server import pkgd_program
from tests.live.skopeo import Skopeo
from tests.live.tools import must_fail, run
from tests.live.upstreams import Upstreams, mirroring

PROGRAMS = [*mirror_node.PROGRAMS, *skopeo.PROGRAMS, *upstreams.PROGRAMS]


def cases(bench: Bench) -> Iterator[Case]:
    """Fetched before anybody asks, and pulled when nothing can be fetched any more."""
    with mirroring(bench) as (mirror, behind), mirror.folder("lists") as folder, running_node(mirror) as node:
        server, light, heavy = mirror.server, light_of(mirror.images), heavy_of(mirror.images)
        wanted = [*light, heavy]
        yield Case("prefetch fetches a list, all platforms", partial(_prefetch, mirror, folder, wanted), server)
        yield Case("upstream gave each blob once", behind.each_blob_went_out_once, server)
        yield Case("prefetch again fetches nothing", partial(_prefetch_again, mirror, folder, wanted, behind), server)
        yield Case("prefetch names what is not there", partial(_prefetch_absent, mirror, folder), server)
        behind.stop()
        for stocked in light:
            yield Case(f"ctr pulls {stocked.full_name}, upstreams gone", partial(node.pull_with_ctr, stocked), server)
        yield Case("CRI pulls 200 MiB, upstreams gone", partial(node.pull_with_cri, heavy), server)
        yield Case("skopeo copies all, upstreams gone", partial(_copy_all, mirror, light), server)


def _command(mirror: Bench, *arguments: str) -> list[str]:
    certificates = mirror.endpoint.certificates
    trust = [f"--ca-file={certificates.authority}"] if certificates else []
    return [*pkgd_program(), "mirror", "prefetch", f"--url={mirror.endpoint.url}", *trust, *arguments]


def _prefetch(mirror: Bench, folder: Path, wanted: list[Stocked]) -> None:
    """Fetch tags; the report says of each image that it is complete, and what it is."""
    images = folder / "images.txt"
    images.write_text("# what the team uses\n" + "".join(f"{stocked.full_name}:{TAG}\n" for stocked in wanted))
    lines = run(*_command(mirror, "--json", str(images))).splitlines()
    said = {line["image"]: (line["status"], line["digest"]) for line in map(json.loads, lines)}
    expect("report", said, {f"{stocked.full_name}:{TAG}": ("ok", stocked.top.digest) for stocked in wanted})


def _prefetch_again(mirror: Bench, folder: Path, wanted: list[Stocked], behind: Upstreams) -> None:
    with behind.untouched():
        _prefetch(mirror, folder, wanted)


def _prefetch_absent(mirror: Bench, folder: Path) -> None:
    absent = folder / "absent.txt"
    absent.write_text("quay.io/org/absent:v1\n")
    must_fail("failed quay.io/org/absent:v1", *_command(mirror, str(absent)))


def _copy_all(mirror: Bench, all_stocked: list[Stocked]) -> None:
    for stocked in all_stocked:
        with mirror.folder("copied") as folder:
            Skopeo(mirror).copy_from(stocked.full_name, folder, "--all")
            expect(stocked.full_name, hash_file(folder / "manifest.json"), stocked.top.digest[7:])
