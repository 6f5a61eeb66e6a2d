"""Traces of requests: the smallest fleet that keeps its targets, and backtests of planning.

Analysis proposes a number of replicas, the simulator plays the trace itself, a search closes the
gap, and a lower bound says how much better any other router could do. This package must never
read a file or print; it holds no rule of planning and no formula of a queue.
"""
