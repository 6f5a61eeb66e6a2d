"""Throughput grids of AIBrix and Mélange: fitted to, and made from a profile.

This package must never read a file; `data.measurements.grids` does.
"""

from profiler.grids.fitting import GridFit, fit_grid
from profiler.grids.making import GridTargets, throughput_grid

__all__ = ["GridFit", "GridTargets", "fit_grid", "throughput_grid"]
