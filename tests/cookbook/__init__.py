"""The recipes of docs/cookbook/, and the README, tried by real clients: the suite behind `make cookbook`.

    __main__.py    the runner: one line per case, and the counts
    markdown.py    files and commands, as they stand in the Markdown
    village.py     the machines of the recipes: names, certificates, folders, all in a cell of the suite's own
    internet.py    a docker-registry that plays Docker Hub and registry.k8s.io, by their names and over TLS
    servers.py     pkgd, from a recipe's file
    engines.py     dockerd and containerd, from a recipe's files

and a module for each recipe. Files and commands are used to the letter. What differs is the machine around them: names
are resolved by /etc/hosts, the certificates' authority is one of the system's, and PKGD_SERVER__LISTEN adds
an address to the port, because all machines of a recipe are one.
"""
