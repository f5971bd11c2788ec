"""`/api/v1/`: JSON for tools."""
