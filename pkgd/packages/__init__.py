"""Repositories of packages, apt's and rpm's: what is in them, and how it becomes what clients fetch."""
