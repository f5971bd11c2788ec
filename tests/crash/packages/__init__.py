"""Crash tests of package repositories: kill -9 and power cuts (`python -m tests.crash.packages`)."""
