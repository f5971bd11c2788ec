"""Package repositories side by side: packages to fill them with, pkgd by its uploads, the peers by their commands."""
