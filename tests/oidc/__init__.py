"""Logging in by real providers, in a real browser: `python -m tests.oidc`."""
