"""What clients have to be told of a pkgd: the files and commands that `pkgd client-setup` prints, and writes.

Texts are pure functions of a `Target`; what only a running server knows (its signing keys) is asked for by the command
and handed in. docs/cookbook/ shows the same texts, and its suite gives them to the clients.

In here: `model` (whom it is for, and what a set-up is made of), `images` (clients of the registry), `packages` (package
managers and uploads), `clients` (the table of all), `installing` (writing files).
"""
