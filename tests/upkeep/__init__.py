"""The state kept in order under load: garbage collection, the scrub and retention, with a real server."""
