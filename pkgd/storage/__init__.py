"""Bytes at rest: put-once objects by key, and the spool where unfinished ones are written."""
