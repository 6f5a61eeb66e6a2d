"""How far the analysis is from the truth: simulation, and measurements of real accelerators.

`python -m benchmarks.fidelity` draws operating points, simulates them, compares both analyses with
the simulations, sizes replicas to percentile targets and simulates them at the rate found, and
writes `docs/fidelity.md`. Nothing in here is fitted to the outcome.
"""
