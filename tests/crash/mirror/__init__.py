"""Crash tests of the mirror: kills during fills and evictions, and a full disk (`python -m tests.crash.mirror`)."""
