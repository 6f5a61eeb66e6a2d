"""What is true in a running fleet: signals from Prometheus, workloads and cards from Kubernetes.

Each reader turns what it sees into an observation in the words of `stoker.domain.control`. A signal
that is missing stays unknown; it is never reported as zero.

This package must never import `optimizer`, `actuator` or any higher floor, never decide anything
and never change the cluster. The Prometheus query client may be imported in this package only, the
Kubernetes client in this one and `actuator` only.
"""
