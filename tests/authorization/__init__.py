"""Who may do what, at every route: the server's answers beside what the rules mean, said a second time."""
