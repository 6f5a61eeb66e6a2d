"""Service-time models fitted to the times of single iterations.

Takes `stoker.domain.timing.CaseTiming`, whoever measured them; numpy and scipy alone.
"""

from profiler.iterations.fitting import MODELS, best_fit, fit_iterations
from profiler.iterations.result import IterationFit, TableIntervals

__all__ = ["MODELS", "IterationFit", "TableIntervals", "best_fit", "fit_iterations"]
