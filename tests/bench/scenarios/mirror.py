"""The mirror beside docker-registry as a proxy, both before the same upstream: cold layers, cold manifests, warm pulls.

Speeds are figures. What must be exact is a fault: one GET at the upstream per cold blob, every byte right at every
client, ranges answered from the same fill, memory that doesn't grow with the crowd.
"""

import traceback
from collections.abc import Callable, Sequence

from tests.bench.api import WrongAnswer
from tests.bench.client import LoadFailed
from tests.bench.figures import Outcome
from tests.bench.scenarios import mirror_cold, mirror_warm
from tests.bench.servers import ServerFailed
from tests.bench.stage import Stage

Part = Callable[[Stage], Outcome]
PARTS: Sequence[Part] = (
    mirror_cold.crowd,
    mirror_cold.race,
    mirror_cold.ranges,
    mirror_warm.cold_manifests,
    mirror_warm.warm_manifests,
    mirror_warm.warm_blobs,
)


def run(stage: Stage) -> Outcome:
    """Run every part; one that breaks off is a fault, and the others go on."""
    parts = [_attempt(part, stage) for part in PARTS]
    return Outcome(
        tuple(table for part in parts for table in part.tables),
        tuple(bar for part in parts for bar in part.bars),
        {name: figures for part in parts for name, figures in part.raw.items()},
        tuple(fault for part in parts for fault in part.faults),
    )


def _attempt(part: Part, stage: Stage) -> Outcome:
    try:
        return part(stage)
    except (LoadFailed, WrongAnswer, ServerFailed, OSError, LookupError) as error:
        traceback.print_exc()
        reason = f"{type(error).__name__}: {error}".splitlines()[0][:200]
        return Outcome((), (), {}, (f"{part.__name__} broke off: {reason}",))
