"""`pkgd mirror prefetch`: a client that makes a running pkgd fetch images, and verifies what it hands out."""
