"""The OCI distribution conformance program against a real pkgd; run by `make conformance`."""
