"""From measurements of model servers to profiles that plans can be made with.

`profiler.fit` turns measured operating points into parameters of service-time models, with their
confidence. It must never read a file, know prices or targets, or import a sibling (the optimizer,
the simulator); numpy and scipy are all it needs.
"""
