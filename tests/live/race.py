"""Many pushes at once to one tag: all succeed, and the tag is one of the images, whole."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from tests.live import skopeo
from tests.live.bench import Bench, Case
from tests.live.content import expect
from tests.live.images import TAG, Image

PROGRAMS = skopeo.PROGRAMS

_PUSHES = 8


def cases(bench: Bench) -> Iterator[Case]:
    """Different images, several times over; then one image by all."""
    different = [bench.images.another_small(f"race-{number}") for number in range(_PUSHES)]
    for round_number in range(1, 4):
        yield Case(
            f"{_PUSHES} images at once to one tag, round {round_number}", lambda: _race(bench, different, "race/tag")
        )
    same = [bench.images.resumable] * _PUSHES
    yield Case(f"one image of 64 MiB {_PUSHES} times at once", lambda: _race(bench, same, "race/same"))


def _race(bench: Bench, images: list[Image], name: str) -> None:
    """Push all the images at once to one tag."""
    bench.forget_known_blobs()
    client = skopeo.Skopeo(bench)
    with ThreadPoolExecutor(len(images)) as threads:
        pushes = [threads.submit(client.copy_to, image.source, name) for image in images]
    for push in pushes:
        push.result()
    by_digest = {image.manifest.digest: image for image in images}
    winner = bench.registry.manifest(name, TAG).digest
    expect(f"{name}:{TAG} is one of the pushed images", winner in by_digest, True)
    bench.pushed(name).is_exactly(by_digest[winner].manifest, by_digest[winner].blobs, TAG)
