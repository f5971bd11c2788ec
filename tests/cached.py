"""A mirror's cache as the tests of several rooms need it: what may be in it, and what must go, the simple way."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, evolve, field, frozen
from hypothesis import strategies as st

from pkgd.formats.digest import Digest
from pkgd.formats.names import Origin, RepositoryName
from pkgd.storage.layout import directory
from tests.registry.fixtures import image, image_index

__all__ = ["PLACES", "Thing", "Use", "World", "blob_thing", "image_thing", "index_thing", "uses", "worlds"]

PLACES = tuple(
    directory(Origin(host, RepositoryName(name)))
    for host, name in (("docker.io", "library/a"), ("docker.io", "library/b"), ("ghcr.io", "a"))
)


@frozen
class Thing:
    """A manifest or a blob, which is the same in every place; `needs` are digests."""

    data: bytes
    is_manifest: bool = False
    needs: tuple[str, ...] = ()

    @property
    def digest(self) -> str:
        """What it is called."""
        return str(Digest.of(self.data))

    @property
    def size(self) -> int:
        """Its bytes."""
        return len(self.data)


def blob_thing(data: bytes) -> Thing:
    """A layer or a configuration."""
    return Thing(data)


def image_thing(*blobs: Thing) -> Thing:
    """An image; the first blob is its configuration."""
    digests = [Digest.parse(one.digest) for one in blobs]
    return Thing(image(*digests), True, tuple(map(str, digests)))


def index_thing(*manifests: Thing, note: str = "") -> Thing:
    """An index."""
    data = image_index(*(one.data for one in manifests), annotations={"note": note})
    return Thing(data, True, tuple(one.digest for one in manifests))


@frozen
class Use:
    """At a time a thing comes into a place, or is used there."""

    place: str
    digest: str
    time: float


@define
class World:
    """Things, and in which places they are cached, each with its last use."""

    things: dict[str, Thing]
    cached: dict[tuple[str, str], float] = field(factory=dict)

    def copy(self) -> World:
        """The same, to go on from."""
        return evolve(self, cached=dict(self.cached))

    def use(self, use: Use) -> None:
        """Come in, or be used."""
        key = (use.place, use.digest)
        self.cached[key] = max(use.time, self.cached.get(key, use.time))

    def digests(self, place: str) -> set[str]:
        """What is cached in a place."""
        return {digest for one, digest in self.cached if one == place}

    def closure(self, place: str, digest: str) -> set[str]:
        """A thing with all that it needs, as far as what is cached tells."""
        found, pending = set[str](), [digest]
        while pending:
            one = pending.pop()
            if one not in found:
                found.add(one)
                pending += self.things[one].needs if (place, one) in self.cached else ()
        return found

    def roots(self, place: str) -> set[str]:
        """What is cached and not needed."""
        digests = self.digests(place)
        return digests - {needed for digest in digests for needed in self.things[digest].needs}

    def last_use(self, place: str, root: str) -> float:
        """The last use of anything in a group."""
        return max(self.cached.get((place, one), 0.0) for one in self.closure(place, root))

    def queue(self) -> list[tuple[float, str, str]]:
        """All roots, the least recently used first."""
        return sorted((self.last_use(place, root), place, root) for place in PLACES for root in self.roots(place))

    def alone(self, place: str, root: str) -> set[str]:
        """What is cached and needed by this root only."""
        others = [self.closure(place, other) for other in self.roots(place) - {root}]
        return self.closure(place, root).intersection(self.digests(place)).difference(*others)

    def drop(self, place: str, root: str) -> None:
        """Let a group go."""
        for digest in self.alone(place, root):
            del self.cached[place, digest]

    def total(self, under: str = "") -> int:
        """The bytes of all that is cached below a prefix; equal things count once."""
        return sum(
            self.things[one].size for one in {digest for place, digest in self.cached if place.startswith(under)}
        )


def _things(shapes: list[tuple[bool, frozenset[int]]]) -> Iterator[Thing]:
    """Four blobs, and images and indexes that need some of what stands before them."""
    blobs = [blob_thing(bytes([number]) * (100 + number)) for number in range(4)]
    manifests: list[Thing] = []
    for number, (is_image, needed) in enumerate(shapes):
        if is_image:
            manifests.append(image_thing(*(blobs[one % 4] for one in sorted(needed))))
        else:
            chosen = {one % len(manifests) for one in needed} if manifests else set[int]()
            manifests.append(index_thing(*(manifests[one] for one in sorted(chosen)), note=str(number)))
    return iter([*blobs, *manifests])


_SHAPES = st.lists(
    st.tuples(st.booleans(), st.frozensets(st.integers(0, 7), min_size=1, max_size=3)), min_size=3, max_size=7
)


def worlds() -> st.SearchStrategy[World]:
    """Things of which nothing is cached yet."""
    return _SHAPES.map(lambda shapes: World({thing.digest: thing for thing in _things(shapes)}))


def uses(world: World) -> st.SearchStrategy[list[Use]]:
    """Pulls of things of a world, with all that they need, or with most of it."""

    @st.composite
    def pull(draw: st.DrawFn) -> list[Use]:
        place, time = draw(st.sampled_from(PLACES)), float(draw(st.integers(1, 9)))
        found, pending = list[str](), [draw(st.sampled_from(list(world.things)[::-1]))]
        while pending:
            digest = pending.pop()
            pending += world.things[digest].needs
            found.append(digest)
        missing = draw(st.frozensets(st.integers(0, 15), max_size=3))
        return [Use(place, digest, time) for number, digest in enumerate(found) if number not in missing]

    return st.lists(pull(), min_size=2, max_size=10).map(lambda pulls: [use for pull in pulls for use in pull])
