"""The scenarios by name, in the order of a complete run."""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from tests.bench.figures import Outcome
from tests.bench.scenarios import auth, blob_get, cold_cache, manifests, memory, mirror, packages, push, start
from tests.bench.stage import Stage

SCENARIOS: Mapping[str, Callable[[Stage], Outcome]] = MappingProxyType(
    {
        "start": start.run,
        "manifests": manifests.run,
        "blobs-many": blob_get.many_clients,
        "blobs-one": blob_get.one_client,
        "push": push.run,
        "memory-parallel": memory.parallel,
        "memory-sizes": memory.sizes,
        "cold-cache": cold_cache.run,
        "mirror": mirror.run,
        "auth": auth.run,
        "packages": packages.run,
    }
)
