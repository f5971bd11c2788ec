"""What is stored, and how long the disk takes."""

from __future__ import annotations

from prometheus_client import CollectorRegistry

from pkgd.metrics.families import Durations, Gauge

__all__ = ["StorageMetrics"]

# From a file that is in memory to a disk that is stuck.
_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
# There is one kind of storage; dashboards for several need not change.
_DRIVER = "filesystem"


class StorageMetrics:
    """All labels are words of our own."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._operations = Durations(
            *(
                registry,
                "storage_operation_duration_seconds",
                "How long the storage took, the wait for a thread included.",
            ),
            *(["op", "driver", "result"], _SECONDS),
        )
        self._bytes = Gauge(
            registry, "storage_bytes", "What is stored; a file with several names counts once.", ["kind"]
        )
        self._objects = Gauge(registry, "storage_objects", "How many files are stored.", ["kind"])
        self._free = Gauge(registry, "storage_free_bytes", "What is free where the storage is.")
        self._reserved = Gauge(
            registry, "storage_reserved", "1 while space is set aside for what deletes need on a full disk."
        )

    def operation(self, op: str, result: str, seconds: float) -> None:
        """The storage has done something.

        :param op: stat, open, put, put_bytes, link, delete, list or dated.
        :param result: ok or error.
        """
        self._operations.observe(seconds, op, _DRIVER, result)

    def stored(self, kind: str, objects: int, size: int) -> None:
        """So many files, so many bytes.

        :param kind: blob, package, index or mirror.
        """
        self._objects.set(objects, kind)
        self._bytes.set(size, kind)

    def free(self, size: int) -> None:
        """So many bytes are free where the storage is."""
        self._free.set(size)

    def reserved(self, held: bool) -> None:
        """Whether space is set aside for what deletes need."""
        self._reserved.set(held)
