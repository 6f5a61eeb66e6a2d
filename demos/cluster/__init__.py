"""A cluster on this machine without GPUs: real control plane, real Prometheus, pretended nodes.

etcd, the Kubernetes API server, controller manager, scheduler and Prometheus run as plain
processes on loopback; nodes with GPUs are objects that a small kubelet keeps alive, and whose pods
it declares running and ready. For trying the control loop, and for its tests.
"""
