"""Sweeps: one fleet planned at many points of a grid, and the frontiers found among them.

Grammar of what varies, the points, their plans (in this process, in a pool of processes or on a
Dask cluster), and the folder that keeps what is done, so that a sweep that was cut off goes on.

This package must never hold a rule of planning: every point is a fleet that `optimizer` plans.
"""
