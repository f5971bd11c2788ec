"""Backups: what is in them, what a restore makes of them, and what a verification finds."""
