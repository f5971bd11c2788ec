"""Which tags, manifests and packages go because rules of the configuration say so (docs/operating.md)."""
