"""`/v2/`: the distribution API's paths, and a module of handlers for each kind of thing."""
