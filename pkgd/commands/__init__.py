"""The commands of `pkgd`, one module each: its options, and `run`, which returns the exit status or None for 0.

What a command needs is imported when it runs: a command line answers at once.
"""
