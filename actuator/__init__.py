"""What is done to a running fleet: replicas written, a Lease held, events told.

Applying the same targets twice changes nothing the second time, and somebody else's change is never
overwritten.

This package must never import `optimizer`, `collector` or any higher floor, never alter a decision
and never measure load. The Kubernetes client may be imported in this package and `collector` only.
"""
