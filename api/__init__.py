"""The HTTP face of Stoker: the native `/v1` interface and the verbs of the Inferno optimizer.

Decodes requests, hands them to `data`, `optimizer` and the planner it was given, and encodes the
answers. It must never plan by rules of its own, know a solver library or a cluster, draw, or keep
state outside the store it was given.
"""
