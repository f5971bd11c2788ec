"""Crash tests: kill -9 under load (`python -m tests.crash`) and power cuts (`python -m tests.crash.powercut`)."""
