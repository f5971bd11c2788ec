"""The OCI domain: blobs, uploads, manifests, tags, referrers. It knows no HTTP."""
