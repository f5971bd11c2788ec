"""pkgd's unit and packages under a real systemd."""
