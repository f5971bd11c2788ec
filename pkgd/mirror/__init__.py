"""The pull-through mirror: which upstream, how it is asked, and what is kept of its answers."""
