"""Tests of `pkgd.metrics`."""
