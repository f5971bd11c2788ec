"""Real clients against a real pkgd process: the suite behind `make clients`.

    __main__.py      the runner: one line per case, and the counts
    cell.py          namespaces of the suite's own, so that nothing it does outlives it
    tools.py         installing and running programs
    layout.py        writing OCI image layouts and layers
    images.py        the images of the cases, each made on the spot
    certificates.py  an own CA
    server.py        pkgd (or docker-registry as a stand-in) as a process
    registry.py      reading back over HTTP what a client pushed
    bench.py         what every case gets: a server, the images, a scratch folder

and one module per client or situation: skopeo, podman, buildah, docker, ctr, golden, race, resume, nginx.

Clients that pull through the mirror have modules of their own, called mirror_*, and stand on

    upstreams.py     the registries behind the mirror
    mirror_stock.py  what those have
    mirror_setup.py  the clients' configuration, from the files in mirror_files/
    mirror_node.py   a containerd that pulls everything through the mirror

Clients that log in have modules called auth*, and stand on

    auth_setup.py    who may do what there, and API keys
    auth_clients.py  how each client logs in, out, pushes and pulls
"""
