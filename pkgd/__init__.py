"""One daemon for a team's software supply chain: an OCI registry, and what grows around it.

Start reading at `docs/architecture.md`; in code, at `pkgd.daemon`, which builds everything.
"""

__version__ = "0.1.0"

__all__ = ["__version__"]
