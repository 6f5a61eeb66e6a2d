"""From a fleet to the cheapest plan that keeps its promises, with the reasons for it.

Candidates (predicted through `queueing`, as arrays) -> formulation -> solver -> plan.
Only `optimizer.solver` knows a solver library. This package must never read files, talk to a
cluster, serve HTTP or draw, and must never know the collector, the actuator or the faces.
"""
