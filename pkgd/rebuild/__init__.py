"""The command `pkgd rebuild`: what can be derived from the tree is derived anew, while no daemon runs."""
