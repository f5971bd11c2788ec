"""Package repositories as package managers see them: a real pkgd; apt, dnf, zypper, rpm, dput, curl against it.

`python -m tests.repositories [GROUP…]`, as root on Debian; everything is on loopback, and each client has folders of
its own, so that the machine's packages and sources stay as they are.
"""
