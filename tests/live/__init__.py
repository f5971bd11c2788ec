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
"""
