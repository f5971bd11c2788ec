"""Logging in from a terminal: the commands `pkgd login` and `pkgd logout`, and docker's helper for credentials."""
