"""What clients are told: every text, and how it is put on disk."""
