"""Every outbound HTTP connection of the daemon: which addresses, whose certificates, how much, how long."""
