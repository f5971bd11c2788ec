"""The manifests of packaging/kubernetes: what Kubernetes and Prometheus' operator say of them, without a cluster."""
