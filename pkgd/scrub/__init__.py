"""Scrubbing: whatever is stored is read again now and again, and what has rotted is served no more."""
