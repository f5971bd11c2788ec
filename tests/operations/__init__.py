"""An operator's signals while clients work: stops, new configurations, rotated logs, sockets that are passed on."""
