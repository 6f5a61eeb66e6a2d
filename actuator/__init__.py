"""What is done to a running fleet: room for the adapters that carry out a plan.

Here belong the writers that take a plan in the words of ``stoker.domain`` and bring a cluster
to it: replica counts, accelerator choice, batch limits. Applying the same plan twice changes
nothing the second time.

The room is empty so far: plans are printed and served, and the adapters come with the control
loop that uses them.

This package must never import ``optimizer``, ``collector`` or any higher floor, never alter a
plan and never measure load. The Kubernetes client may be imported in this package and
``collector`` only.
"""
