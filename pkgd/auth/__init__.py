"""Who may do what: principals, accesses, and the policies that allow or refuse."""
