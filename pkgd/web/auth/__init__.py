"""Where clients get tokens."""
