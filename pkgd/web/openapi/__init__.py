"""`/api/openapi.json`: what is served, described for programs."""
