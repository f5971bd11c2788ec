"""Copies of a state: taken beside a running daemon, put back, and looked through for what is missing or damaged.

Everything here blocks and runs in a command's one thread. A file of the state is never changed once it has its name,
only replaced by another, so whoever has it open reads it whole.
"""
