"""What runs in a cluster, followed by watches.

`mirror` keeps copies of objects up to date and knows how old they are; `workloads`, `replicas` and
`cards` read them, as pure functions; `api` is the only module that talks.
"""
