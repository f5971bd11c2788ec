"""The mirror against upstreams that misbehave (`python -m tests.upstream`)."""
