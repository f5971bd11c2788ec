"""Packages that are none, or are out to hurt, uploaded to a real server (`python -m tests.hostile.packages`)."""
