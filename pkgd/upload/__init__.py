"""The command `pkgd upload`: packages from this machine into a running pkgd."""
