"""The jobs of a release, in order, on clean clones against a pkgd that runs here."""
