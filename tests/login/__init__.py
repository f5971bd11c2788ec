"""Tests of pkgd.login."""
