"""A hostile HTTP corpus, sent raw to a real server, directly and behind nginx (`python -m tests.hostile`)."""
