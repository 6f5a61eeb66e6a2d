"""Servers of one model that share replicas, where that is cheaper than replicas of their own.

Takes a candidate table and what a fleet says of sharing, predicts sets of servers on common
replicas, and lets the model choose between those and replicas of their own. Sees a solver through
`optimizer.milp` alone; knows neither files nor the terminal.
"""
