"""The bench behind `make bench`: pkgd beside docker-registry and nginx in figures and ratios, never a timed test."""
