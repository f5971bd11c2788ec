"""`/apt/` and `/rpm/`: paths, the doors of readers and uploaders, and the calls that other servers' clients know."""
