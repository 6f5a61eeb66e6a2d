"""What is true in a running fleet: room for the adapters that yield observations.

Here belong the readers of monitoring and cluster state, each turning what it sees (request
rates, token counts, latencies, replicas in place) into an observation in the words of
``stoker.domain``. A signal that is missing stays unknown; it is never reported as zero.

The room is empty so far: plans are made from fleet descriptions, and the adapters come with
the control loop that uses them.

This package must never import ``optimizer``, ``actuator`` or any higher floor, never decide
anything and never change the cluster. The Prometheus query client may be imported in this
package only, the Kubernetes client in this one and ``actuator`` only.
"""
