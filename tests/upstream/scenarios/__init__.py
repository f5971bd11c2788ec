"""Scenarios of the mirror; each module has `cases`, which makes them one after the other."""
