"""Live suite: a server that is filled, and then asks who somebody is, by one key of its configuration."""
