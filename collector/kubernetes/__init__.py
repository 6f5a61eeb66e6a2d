"""What runs in a cluster, followed by watches.

`mirror` keeps copies of objects up to date and knows how old they are; `state` puts together what
`workloads`, `replicas`, `hardware` and `instances` read in them, all of them pure functions; `api`
is the only module that talks.
"""
