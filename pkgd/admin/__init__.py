"""Commands of the machine's administrator to the daemon that runs: over a Unix socket in the state directory."""
