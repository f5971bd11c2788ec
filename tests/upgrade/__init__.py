"""Live suite: what was there before an upgrade is served after it, byte for byte, and still read after a roll-back."""
