"""Plans that fit their nodes: placement as a constraint of planning itself.

Replicas of a type compete for nodes by their sizes alone (`rooms`), so what fits is a matter of
counts by size, which rows of the planner's own program keep (`places`). `plan.place_on_nodes` plans
so; `verify.with_places` puts every replica of the finished plan on a node, and says of servers left
out what the nodes lack.
"""
