"""Brings the workloads of a cluster to their targets, and nothing else of it.

`api` is the only module that talks; `scaling` writes replicas, `batch_limit` the batch limit of
pods, `hands` both; `lease` keeps the right to act, `events` tells people what was done.
"""
