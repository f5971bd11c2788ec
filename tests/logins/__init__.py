"""Logging in at a real pkgd, with real services behind it that know users: `python -m tests.logins`."""
