"""Clients that update all the time while packages are published: pkgd, and aptly and createrepo_c beside it."""
