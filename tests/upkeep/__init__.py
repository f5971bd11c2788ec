"""The state kept in order under load: garbage collection and the scrub, with a real server."""
